import { useId, useState } from "preact/hooks";
import { text } from "../text";

export interface Item {
  id: string;
  label: string;
  /** A second line: what the label does not say. */
  note?: string;
  /** It cannot be ticked: the hint says why. */
  disabled?: boolean;
}

interface Props {
  legend: string;
  hint?: string;
  /** What is wrong with what is ticked; empty: nothing. */
  error?: string;
  items: Item[];
  ticked: ReadonlySet<string>;
  onTicked: (ticked: Set<string>) => void;
  /** What the search field says; without it there is none. */
  search?: string;
  /** What stands there when there is nothing to tick. */
  none?: string;
}

/** Things of which several can be ticked: all at once, and found by a part of their text. */
export function TickList(props: Props) {
  const { items, ticked, onTicked } = props;
  const [sought, setSought] = useState("");
  const id = useId();
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = items.filter((item) => {
    const whole = `${item.label} ${item.note ?? ""}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
  const visible = new Set(shown);
  const open = shown.filter((item) => !item.disabled);
  const all = open.length > 0 && open.every((item) => ticked.has(item.id));
  const some = open.some((item) => ticked.has(item.id));

  function tick(ids: string[], on: boolean): void {
    const next = new Set(ticked);
    for (const each of ids) on ? next.add(each) : next.delete(each);
    onTicked(next);
  }

  return (
    <fieldset class="tick-list" aria-describedby={`${id}-more`} aria-invalid={Boolean(props.error)}>
      <legend>{props.legend}</legend>
      {items.length > 1 && (
        <div class="tick-list-head">
          {props.search && (
            <input
              type="search"
              aria-label={props.search}
              placeholder={props.search}
              value={sought}
              onInput={(event) => setSought(event.currentTarget.value)}
              // Enter is for the search, not for the form around it.
              onKeyDown={(event) => event.key === "Enter" && event.preventDefault()}
            />
          )}
          <label class="tick">
            <input
              type="checkbox"
              checked={all}
              ref={(box) => {
                if (box) box.indeterminate = some && !all;
              }}
              disabled={open.length === 0}
              onChange={() =>
                tick(
                  open.map((item) => item.id),
                  !all,
                )
              }
            />
            <span>{words.length > 0 ? text.selectShown(open.length) : text.selectAll}</span>
          </label>
          <span class="small muted" role="status">
            {text.selected(ticked.size, items.filter((item) => !item.disabled).length)}
          </span>
        </div>
      )}
      <div class="ticks">
        {/* Hidden and not taken away: 500 that are drawn anew take longer than a key press. */}
        {items.map((item) => (
          <label key={item.id} class="tick" hidden={!visible.has(item)}>
            <input
              type="checkbox"
              checked={ticked.has(item.id)}
              disabled={item.disabled}
              onChange={(event) => tick([item.id], event.currentTarget.checked)}
            />
            <span>
              {item.label}
              {item.note && <span class="small muted">{item.note}</span>}
            </span>
          </label>
        ))}
        {items.length === 0 && <p class="muted">{props.none}</p>}
        {items.length > 0 && shown.length === 0 && <p class="muted">{text.nothingFound}</p>}
      </div>
      <div id={`${id}-more`}>
        {props.error && (
          <div class="error" role="alert">
            {props.error}
          </div>
        )}
        {props.hint && <div class="hint">{props.hint}</div>}
      </div>
    </fieldset>
  );
}
