import { useState } from "preact/hooks";
import type { Rescue, RescueState } from "../api/schema";
import { Answered } from "../parts/answered";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { Section } from "../parts/section";
import { Time } from "../parts/time";
import { useMayChange } from "../session/session";
import { text } from "../text";
import { Command } from "./command";
import { PasswordDialog } from "./password-dialog";
import { useRescue } from "./queries";

const TONES: Record<RescueState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  INACTIVE: "neutral",
  ENTERING: "busy",
  ACTIVE: "warning",
  EXITING: "busy",
  ENTER_FAILED: "bad",
  EXIT_FAILED: "bad",
};

interface Props {
  hostname: string;
  /** Where one logs in; empty: not known. */
  address: string;
}

/** Where a server stands with its rescue system, and how to log in there. */
export function RescueSection({ hostname, address }: Props) {
  const rescue = useRescue(hostname);
  const [reading, setReading] = useState(false);
  const mayChange = useMayChange();
  const command = address && `ssh root@${address}`;
  return (
    <Section
      title={text.servers.rescue}
      actions={
        mayChange &&
        rescue.data?.password_readable &&
        rescue.data.state === "ACTIVE" && (
          <Button onClick={() => setReading(true)}>{text.servers.readPassword}</Button>
        )
      }
    >
      <Answered query={rescue}>
        {(known) => (
          <>
            <Badge tone={TONES[known.state]}>{text.servers.rescueState[known.state].label}</Badge>
            <p class="muted">{text.servers.rescueState[known.state].note}</p>
            {known.state === "ACTIVE" && <Active rescue={known} command={command} />}
          </>
        )}
      </Answered>
      {reading && (
        <PasswordDialog hostname={hostname} command={command} onClose={() => setReading(false)} />
      )}
    </Section>
  );
}

function Active({ rescue, command }: { rescue: Rescue; command: string }) {
  return (
    <dl class="facts">
      {command && (
        <>
          <dt>{text.servers.logIn}</dt>
          <dd>
            <Command command={command} />
          </dd>
        </>
      )}
      <dt>{text.servers.fingerprints}</dt>
      <dd>
        {rescue.ssh_host_key_fingerprints.map((fingerprint) => (
          <div key={fingerprint}>
            <code>{fingerprint}</code>
          </div>
        ))}
        <span class="small muted">{text.servers.fingerprintsHint}</span>
      </dd>
      <dt>{text.servers.image}</dt>
      <dd>{rescue.image}</dd>
      {rescue.ready_time && (
        <>
          <dt>{text.servers.readySince}</dt>
          <dd>
            <Time at={rescue.ready_time} />
          </dd>
        </>
      )}
      {rescue.contact_time && (
        <>
          <dt>{text.servers.lastContact}</dt>
          <dd>
            <Time at={rescue.contact_time} />
          </dd>
        </>
      )}
    </dl>
  );
}
