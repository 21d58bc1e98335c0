import { Plus } from "lucide-preact";
import type { FieldError } from "../api/field-errors";
import { Button } from "../parts/button";
import { Field } from "../parts/field";
import { useSession } from "../session/session";
import { text } from "../text";
import { MOST_NETWORKS, mended, type Remark, readNetworks, withAddress } from "./networks";

const ROWS = { least: 3, most: 10 };

interface Props {
  /** What was typed, as it was typed. */
  typed: string;
  onTyped: (typed: string) => void;
  /** What the API said of the networks that were sent. */
  errors: FieldError[];
}

/** The networks that a key may be used from. Every line that is wrong is named while one types. */
export function NetworksField({ typed, onTyped, errors }: Props) {
  const address = useSession().data?.address;
  const { cidrs, lines, remarks } = readNetworks(typed);
  const wrong = remarks.filter(({ kind }) => kind !== "ADDRESS");
  const notes = remarks.filter(({ kind }) => kind === "ADDRESS");
  const tooMany = cidrs.length > MOST_NETWORKS;
  const list = (some: Remark[]) => (
    <Remarks remarks={some} onMend={(remark) => onTyped(mended(typed, remark))} />
  );
  return (
    <>
      <Field
        label={text.keys.cidrs}
        hint={
          <>
            {list(notes)}
            {text.keys.cidrsHint}
          </>
        }
        error={
          (wrong.length > 0 || tooMany || errors.length > 0) && (
            <>
              {list(wrong)}
              {tooMany && <p>{text.keys.tooMany(cidrs.length, MOST_NETWORKS)}</p>}
              {errors.map(({ index, description }) => {
                const line = index === undefined ? undefined : lines[index];
                const said =
                  line === undefined ? description : text.keys.lineWrong(line, description);
                return <p key={said}>{said}</p>;
              })}
            </>
          )
        }
      >
        {(control) => (
          <textarea
            {...control}
            rows={Math.min(Math.max(typed.split("\n").length, ROWS.least), ROWS.most)}
            value={typed}
            spellcheck={false}
            autocapitalize="off"
            autocomplete="off"
            onInput={(event) => onTyped(event.currentTarget.value)}
          />
        )}
      </Field>
      {address && withAddress(typed, address) !== typed && (
        <Button
          class="add-address"
          icon={<Plus aria-hidden="true" />}
          onClick={() => onTyped(withAddress(typed, address))}
        >
          {text.keys.addMyAddress(address)}
        </Button>
      )}
    </>
  );
}

function Remarks({ remarks, onMend }: { remarks: Remark[]; onMend: (remark: Remark) => void }) {
  if (remarks.length === 0) return null;
  return (
    <ul class="remarks">
      {remarks.map((remark) => {
        const offer = offered(remark);
        return (
          <li key={remark.line}>
            {said(remark)}{" "}
            {offer && (
              <button type="button" class="mend" onClick={() => onMend(remark)}>
                {offer}
              </button>
            )}
          </li>
        );
      })}
    </ul>
  );
}

function said({ line, text: typed, kind, instead, before = 0 }: Remark): string {
  switch (kind) {
    case "ADDRESS":
      return text.keys.oneAddress(line, typed, instead);
    case "HOST_BITS":
      return text.keys.hostBits(line, typed, instead);
    case "SEVERAL":
      return text.keys.several(line);
    case "NO_NETWORK":
      return text.keys.noNetwork(line, typed);
    case "PREFIX_TOO_LONG":
      return text.keys.tooLong(line, typed, instead);
    case "AS_BEFORE":
      return text.keys.asBefore(line, typed, before);
  }
}

function offered({ kind, instead }: Remark): string {
  if (kind === "AS_BEFORE") return text.keys.removeLine;
  if (kind === "SEVERAL") return text.keys.split;
  return instead && text.keys.use(instead);
}
