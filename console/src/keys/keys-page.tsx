import { KeyRound, Plus } from "lucide-preact";
import { useMemo, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { ApiKey, ApiKeyState, CapabilityInfo } from "../api/schema";
import { Answered } from "../parts/answered";
import { Notice } from "../parts/notice";
import { useMayChange } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { EditKey } from "./edit-key";
import { type Deed, KeyCard } from "./key-card";
import { useCapabilities, useKeys } from "./queries";
import { RevokeKey } from "./revoke-key";
import { RotateKey } from "./rotate-key";
import type { Made } from "./secret-page";

const STATES = ["ACTIVE", "EXPIRED", "REVOKED"] as const;

/** The keys of the account. */
export function KeysPage({ onMade }: { onMade: (made: Made) => void }) {
  const keys = useKeys();
  const mayChange = useMayChange();
  const [asked, setAsked] = useState<{ deed: Deed; key: ApiKey } | null>(null);
  const [done, setDone] = useState("");
  const close = (said = "") => {
    setAsked(null);
    setDone(said);
  };
  return (
    <Page title={text.keys.title} actions={mayChange && <Generate />}>
      {done && <Notice kind="good">{done}</Notice>}
      <Answered query={keys}>
        {(all) =>
          all.length > 0 ? (
            <KeyList
              keys={all}
              {...(mayChange && { onAsk: (deed, key) => setAsked({ deed, key }) })}
            />
          ) : (
            <NoKeys mayChange={mayChange} />
          )
        }
      </Answered>
      {asked?.deed === "revoke" && <RevokeKey apiKey={asked.key} onClose={close} />}
      {asked?.deed === "rotate" && <RotateKey apiKey={asked.key} onClose={close} onMade={onMade} />}
      {asked?.deed === "edit" && <EditKey apiKey={asked.key} onClose={close} />}
    </Page>
  );
}

function Generate() {
  return (
    <Link href="/keys/new" class="button primary">
      <Plus aria-hidden="true" />
      {text.keys.generate}
    </Link>
  );
}

function NoKeys({ mayChange }: { mayChange: boolean }) {
  return (
    <section class="card no-keys">
      <KeyRound aria-hidden="true" />
      <h2>{text.keys.none}</h2>
      <p>{text.keys.intro}</p>
      <p class="muted">{mayChange ? text.keys.noneHint : text.keys.noneReadOnly}</p>
      {mayChange && <Generate />}
    </section>
  );
}

interface ListProps {
  keys: ApiKey[];
  /** Called when something is to be done with a key; without it nothing can be. */
  onAsk?: (deed: Deed, key: ApiKey) => void;
}

function KeyList({ keys, onAsk }: ListProps) {
  const catalogue = useCapabilities().data;
  const [sought, setSought] = useState("");
  const [state, setState] = useState<ApiKeyState | "">("");
  const labels = useMemo(() => labelsOf(catalogue ?? []), [catalogue]);
  const rows = useMemo(
    () => sorted(keys).map((key) => ({ key, whole: wholeText(key, labels) })),
    [keys, labels],
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
      <ul class="cards keys">
        {shown.map(({ key }) => (
          <KeyCard key={key.id} apiKey={key} labels={labels} {...(onAsk && { onAsk })} />
        ))}
      </ul>
      {shown.length === 0 && <p class="muted">{text.nothingFound}</p>}
    </>
  );
}

/** What capabilities are called, by their ids. */
export type Labels = ReadonlyMap<string, string>;

function labelsOf(catalogue: CapabilityInfo[]): Labels {
  return new Map(catalogue.map(({ id, label }) => [id, label]));
}

/** Those that work before those that do not; among them as they came, the newest first. */
function sorted(keys: ApiKey[]): ApiKey[] {
  return keys.toSorted((a, b) => Number(b.state === "ACTIVE") - Number(a.state === "ACTIVE"));
}

function wholeText({ label, id, servers, capabilities }: ApiKey, labels: Labels): string {
  const does = capabilities.map((each) => `${each} ${labels.get(each) ?? ""}`);
  return [label, id, ...servers, ...does].join("\n").toLowerCase();
}
