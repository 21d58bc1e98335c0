import type { Health } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { text } from "../text";

const TONES: Record<Health, Tone> = {
  HEALTH_UNSPECIFIED: "neutral",
  HEALTH_OK: "good",
  HEALTH_WARNING: "warning",
  HEALTH_CRITICAL: "bad",
  HEALTH_UNKNOWN: "neutral",
};

/** How bad something is. */
export function HealthBadge({ health }: { health: Health }) {
  return <Badge tone={TONES[health]}>{text.ipmi.healths[health]}</Badge>;
}
