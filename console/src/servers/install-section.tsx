import type { InstallStatus } from "../api/schema";
import { StateBadge } from "../operations/state-badge";
import { Answered } from "../parts/answered";
import { Section } from "../parts/section";
import { Time } from "../parts/time";
import { text } from "../text";
import { useInstallStatus } from "./queries";

/** How far a server's newest installation is, as its installer says. */
export function InstallSection({ hostname }: { hostname: string }) {
  const status = useInstallStatus(hostname);
  return (
    <Section title={text.servers.installTitle}>
      <Answered query={status}>
        {(known) =>
          known.state === "STATE_UNSPECIFIED" ? (
            <p class="muted">{text.servers.installNever}</p>
          ) : (
            <Status status={known} />
          )
        }
      </Answered>
    </Section>
  );
}

function Status({ status }: { status: InstallStatus }) {
  return (
    <>
      <dl class="facts">
        <dt>{text.servers.template}</dt>
        <dd>
          {status.template} <StateBadge state={status.state} />
        </dd>
        <dt>{text.servers.progress}</dt>
        <dd class="progress">
          <progress max={100} value={status.percent} aria-label={text.servers.progress} />
          {text.servers.percent(status.percent)}
        </dd>
        {status.message && (
          <>
            <dt>{text.servers.installer}</dt>
            <dd>{status.message}</dd>
          </>
        )}
        {status.reason && (
          <>
            <dt>{text.servers.failedBecause}</dt>
            <dd>
              <code>{status.reason}</code>
            </dd>
          </>
        )}
        <dt>{text.servers.elapsed}</dt>
        <dd>{text.operations.counting(status.elapsed_seconds)}</dd>
        {status.contact_time && (
          <>
            <dt>{text.servers.lastContact}</dt>
            <dd>
              <Time at={status.contact_time} />
            </dd>
          </>
        )}
      </dl>
      {status.log.length > 0 && (
        <details class="fold">
          <summary>{text.servers.log}</summary>
          <pre>{status.log.join("\n")}</pre>
        </details>
      )}
    </>
  );
}
