import type { Ipmi, PowerState, Server } from "../api/schema";
import { Answered } from "../parts/answered";
import { Badge, type Tone } from "../parts/badge";
import { Section } from "../parts/section";
import { Time } from "../parts/time";
import { text } from "../text";
import { usePower } from "./queries";

const TONES: Record<PowerState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  ON: "good",
  OFF: "neutral",
  UNKNOWN: "warning",
};

/** What a server is, and how it is just now. */
export function StateSection({ server }: { server: Server }) {
  const power = usePower(server.hostname);
  return (
    <Section title={text.servers.state}>
      <dl class="facts">
        <dt>{text.servers.power}</dt>
        <dd>
          <Answered query={power}>{(ipmi) => <PowerSeen ipmi={ipmi} />}</Answered>
        </dd>
        {server.netboot && <Boot netboot={server.netboot} />}
        <dt>{text.servers.addresses}</dt>
        <dd>
          {server.ips[0]}
          {server.ips.length > 1 && (
            <span class="small muted"> {text.servers.moreAddresses(server.ips.length - 1)}</span>
          )}
        </dd>
        <dt>{text.servers.datacenter}</dt>
        <dd>{server.datacenter}</dd>
        <dt>{text.servers.mac}</dt>
        <dd>
          <code>{server.mac}</code>
        </dd>
      </dl>
    </Section>
  );
}

function PowerSeen({ ipmi }: { ipmi: Ipmi }) {
  const state = ipmi.power?.state ?? "STATE_UNSPECIFIED";
  return (
    <>
      <Badge tone={TONES[state]}>{text.servers.powerState[state]}</Badge>{" "}
      {ipmi.power?.observe_time && (
        <span class="small muted">
          {text.servers.seen} <Time at={ipmi.power.observe_time} />
        </span>
      )}
      {ipmi.reachability === "AUTH_FAILED" && <div class="error">{text.servers.bmcAuthFailed}</div>}
      {ipmi.reachability === "UNREACHABLE" && (
        <div class="error">{text.servers.bmcUnreachable}</div>
      )}
    </>
  );
}

function Boot({ netboot }: { netboot: NonNullable<Server["netboot"]> }) {
  return (
    <>
      <dt>{text.servers.nextBoot}</dt>
      <dd>
        {text.servers.boot[netboot.boot_type]}
        {netboot.image && ` (${netboot.image})`}
        {netboot.once && <span class="small muted">, {text.servers.once}</span>}
      </dd>
      <dt>{text.servers.lastBoot}</dt>
      <dd>
        {netboot.last_boot_time ? (
          <>
            {text.servers.boot[netboot.last_boot_type]},{" "}
            <span class="small muted">
              <Time at={netboot.last_boot_time} />
            </span>
          </>
        ) : (
          <span class="muted">{text.servers.neverAsked}</span>
        )}
      </dd>
    </>
  );
}
