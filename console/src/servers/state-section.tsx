import type { Ipmi, Server } from "../api/schema";
import { useIpmi } from "../ipmi/queries";
import { Answered } from "../parts/answered";
import { Section } from "../parts/section";
import { Time } from "../parts/time";
import { text } from "../text";
import { PowerBadge } from "./power-badge";

/** What a server is, and how it is just now. */
export function StateSection({ server }: { server: Server }) {
  const ipmi = useIpmi(server.hostname).query;
  return (
    <Section title={text.servers.state}>
      <dl class="facts">
        <dt>{text.servers.power}</dt>
        <dd>
          <Answered query={ipmi}>{(known) => <PowerSeen ipmi={known} />}</Answered>
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
  return (
    <>
      <PowerBadge power={ipmi.power} />
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
