import { useMemo, useState } from "preact/hooks";
import type { ApiKey, ApiKeyState } from "../api/schema";
import { text } from "../text";
import { type Asked, KeyCard } from "./key-card";
import { type CapabilityLabels, useCapabilityLabels } from "./queries";

const STATES = ["ACTIVE", "EXPIRED", "REVOKED"] as const;

interface Props {
  keys: ApiKey[];
  /** Called when something is to be done with a key; without it nothing can be. */
  onAsk?: (asked: Asked) => void;
}

/** Keys, those that work first, found by a part of their text and by their state. */
export function KeyList({ keys, onAsk }: Props) {
  const labels = useCapabilityLabels();
  const [sought, setSought] = useState("");
  const [state, setState] = useState<ApiKeyState | "">("");
  const rows = useMemo(
    () =>
      sorted(keys).map((key) => ({
        key,
        whole: wholeText(key, labels),
        // Made once, so that a list of hundreds is not gone through at every key press.
        card: <KeyCard key={key.id} apiKey={key} labels={labels} {...(onAsk && { onAsk })} />,
      })),
    [keys, labels, onAsk],
  );
  const words = sought.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = rows.filter(
    ({ key, whole }) =>
      (!state || key.state === state) && words.every((word) => whole.includes(word)),
  );
  return (
    <>
      <div class="key-filter">
        <input
          type="search"
          aria-label={text.keys.search}
          placeholder={text.keys.search}
          value={sought}
          onInput={(event) => setSought(event.currentTarget.value)}
        />
        <select
          aria-label={text.keys.stateFilter}
          value={state}
          onChange={({ currentTarget }) =>
            setState(STATES.find((each) => each === currentTarget.value) ?? "")
          }
        >
          <option value="">{text.keys.allStates}</option>
          {STATES.map((each) => (
            <option key={each} value={each}>
              {text.keys.states[each]}
            </option>
          ))}
        </select>
        <span class="small muted" role="status">
          {text.keys.found(shown.length, keys.length)}
        </span>
      </div>
      <ul class="cards">{shown.map(({ card }) => card)}</ul>
      {shown.length === 0 && <p class="muted">{text.nothingFound}</p>}
    </>
  );
}

/** Those that work before those that do not; among them as they came, the newest first. */
function sorted(keys: ApiKey[]): ApiKey[] {
  return keys.toSorted((a, b) => Number(b.state === "ACTIVE") - Number(a.state === "ACTIVE"));
}

function wholeText({ label, id, servers, capabilities }: ApiKey, labels: CapabilityLabels): string {
  const does = capabilities.map((each) => `${each} ${labels.get(each) ?? ""}`);
  return [label, id, ...servers, ...does].join("\n").toLowerCase();
}
