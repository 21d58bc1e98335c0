import { useRef, useState } from "preact/hooks";
import { newRequestId } from "../api/client";
import type { ApiKey, RotateKeyRequestOverlap } from "../api/schema";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import { NotMade } from "./not-made";
import { type Lost, useRotateKey } from "./queries";
import type { Made } from "./secret-page";

type Overlap = Exclude<RotateKeyRequestOverlap, "OVERLAP_UNSPECIFIED">;

const HOUR_MS = 3_600_000;
const LENGTHS: Record<Overlap, number> = {
  NOW: 0,
  ONE_HOUR: HOUR_MS,
  ONE_DAY: 24 * HOUR_MS,
  SEVEN_DAYS: 7 * 24 * HOUR_MS,
};
const OVERLAPS = Object.keys(LENGTHS) as Overlap[];

interface Props {
  apiKey: ApiKey;
  /** What is chosen at first. */
  overlap?: Overlap;
  onMade: (made: Made | Lost) => void;
  onClose: () => void;
}

/** Asks how a key is to be rotated, and does it. */
export function RotateKey({ apiKey: key, overlap: first = "ONE_DAY", onMade, onClose }: Props) {
  const [overlap, setOverlap] = useState(first);
  const [requestId] = useState(newRequestId);
  const sending = useRef(false);
  const rotate = useRotateKey(key.id, requestId);

  function send(): void {
    if (sending.current) return;
    sending.current = true;
    rotate.mutate(
      { overlap },
      {
        onSuccess: (made) => onMade({ ...made, old: { id: key.id, until: end(key, overlap) } }),
        onSettled: () => {
          sending.current = false;
        },
      },
    );
  }

  return (
    <Dialog
      title={text.keys.rotateTitle(text.keys.named(key.label, key.id))}
      onClose={onClose}
      footer={
        <>
          <Button onClick={onClose}>{text.cancel}</Button>
          <Button look="primary" busy={rotate.isPending} onClick={send}>
            {text.keys.rotate}
          </Button>
        </>
      }
    >
      <p>{text.keys.rotateWhat}</p>
      <fieldset class="choices">
        <legend>{text.keys.rotateOverlap}</legend>
        {OVERLAPS.map((each) => (
          <label key={each} class="tick">
            <input
              type="radio"
              name="overlap"
              checked={overlap === each}
              onChange={() => setOverlap(each)}
            />
            <span>{text.keys.overlaps[each]}</span>
          </label>
        ))}
        {key.expire_time && <p class="hint">{text.keys.overlapEnd}</p>}
      </fieldset>
      <NotMade error={rotate.error} rest={rotate.error} unsure={rotate.unsure} />
    </Dialog>
  );
}

/** Until when the old key works, as the API reckons it; null: not any more. */
function end(key: ApiKey, overlap: Overlap): string | null {
  if (overlap === "NOW") return null;
  const asked = Date.now() + LENGTHS[overlap];
  const own = key.expire_time ? Date.parse(key.expire_time) : Number.POSITIVE_INFINITY;
  return new Date(Math.min(asked, own)).toISOString();
}
