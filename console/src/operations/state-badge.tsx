import type { OperationMetadataState } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { text } from "../text";

const TONES: Record<OperationMetadataState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  PENDING: "busy",
  RUNNING: "busy",
  SUCCEEDED: "good",
  FAILED: "bad",
  CANCELLED: "neutral",
};

/** Where an operation stands. */
export function StateBadge({ state }: { state: OperationMetadataState }) {
  return <Badge tone={TONES[state]}>{text.operations.state[state]}</Badge>;
}
