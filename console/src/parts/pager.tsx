import { text } from "../text";
import { Button } from "./button";
import { number } from "./number";

interface Props {
  /** What is paged through, for a screen reader. */
  label: string;
  /** How many there are before this page, on it, and on all pages. */
  before: number;
  here: number;
  total: number;
  onPrevious: () => void;
  /** Null: this is the last page. */
  onNext: (() => void) | null;
}

/** Through the pages of a list; nothing where all is on one page. */
export function Pager({ label, before, here, total, onPrevious, onNext }: Props) {
  if (before === 0 && !onNext) return null;
  return (
    <nav class="pager" aria-label={label}>
      <Button disabled={before === 0} onClick={onPrevious}>
        {text.previous}
      </Button>
      <span class="small muted" role="status">
        {text.range(
          number(Math.min(before + 1, before + here)),
          number(before + here),
          number(total),
        )}
      </span>
      <Button disabled={!onNext} onClick={() => onNext?.()}>
        {text.next}
      </Button>
    </nav>
  );
}
