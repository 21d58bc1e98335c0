import type { Power } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Time } from "../parts/time";
import { text } from "../text";

const TONES: Record<Power["state"], Tone> = {
  STATE_UNSPECIFIED: "neutral",
  ON: "good",
  OFF: "neutral",
  UNKNOWN: "warning",
};

interface Props {
  power: Power | undefined;
  /** Says when it was seen if that is longer ago than this; left out: always. */
  freshSeconds?: number;
}

/** Whether a machine has power, and when that was seen. */
export function PowerBadge({ power, freshSeconds = 0 }: Props) {
  const state = power?.state ?? "STATE_UNSPECIFIED";
  const seen = power?.observe_time;
  const old = seen && Date.now() - Date.parse(seen) >= freshSeconds * 1000;
  return (
    <>
      <Badge tone={TONES[state]}>{text.servers.powerState[state]}</Badge>{" "}
      {old && (
        <span class="small muted">
          {text.servers.seen} <Time at={seen} />
        </span>
      )}
    </>
  );
}
