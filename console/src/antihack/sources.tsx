import type { AntihackSource, AntihackSourceHealth } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { number } from "../parts/number";
import { Time } from "../parts/time";
import { text } from "../text";

const TONES: Record<AntihackSourceHealth, Tone> = {
  HEALTH_UNSPECIFIED: "neutral",
  OK: "good",
  NO_JAILS: "warning",
  NOT_RUNNING: "bad",
  NOT_INSTALLED: "bad",
  UNREACHABLE: "bad",
};

/** Whether fail2ban runs on each gateway, in words: without it nothing is known, and nothing guarded. */
export function Sources({ sources }: { sources: AntihackSource[] }) {
  if (sources.length === 0) return <p>{text.antihack.noGateway}</p>;
  return (
    <ul class="rows" aria-label={text.antihack.sources}>
      {sources.map((source) => (
        <li key={`${source.gateway} ${source.protected_ip}`}>
          <div class="row-text">
            {text.antihack.means(source.gateway, source.protected_ip)[source.health]}
            <div class="small muted">
              {source.trouble && <div>{source.trouble}</div>}
              {facts(source)}
              {source.observe_time && (
                <>
                  {text.antihack.seen} <Time at={source.observe_time} />
                </>
              )}
            </div>
          </div>
          <Badge tone={TONES[source.health]}>{text.antihack.healths[source.health]}</Badge>
        </li>
      ))}
    </ul>
  );
}

function facts(source: AntihackSource): string {
  if (source.health !== "OK") return "";
  const jails = text.antihack.jails(source.jails.join(", "));
  return `${jails} · ${text.antihack.blockedCount(number(source.blocked_count))} · `;
}
