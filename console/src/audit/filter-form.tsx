import { ListFilter } from "lucide-preact";
import { useEffect, useState } from "preact/hooks";
import { Button } from "../parts/button";
import { Field, Input } from "../parts/field";
import { exactTime } from "../parts/time";
import { text } from "../text";
import { exact, type Filter, localTime } from "./filter";
import { methodInWords } from "./words";

interface Props {
  filter: Filter;
  onFilter: (filter: Filter) => void;
}

const METHODS = Object.entries(text.audit.methods).sort(([, a], [, b]) => a.localeCompare(b));
const OUTCOMES = ["ACCEPTED", "REFUSED", "FAILED"] as const;
const LONGEST = 254;

/** Narrows down which records are shown. */
export function FilterForm({ filter, onFilter }: Props) {
  const [form, setForm] = useState(filter);
  const inUse = Object.keys(filter).length > 0;
  // Another one came with the address: a link was followed, or one went back.
  const asked = JSON.stringify(filter);
  useEffect(() => setForm(JSON.parse(asked)), [asked]);

  function set(name: keyof Filter): (value: string) => void {
    return (value) => setForm((before) => ({ ...before, [name]: value }));
  }

  return (
    <details class="card filter">
      <summary>
        <ListFilter aria-hidden="true" /> {text.audit.filter}{" "}
        {inUse && <span class="muted">{inWords(filter).join(" · ")}</span>}
      </summary>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          onFilter(form);
        }}
      >
        <div class="filter-fields">
          <Input
            label={text.audit.subject}
            hint={text.audit.subjectHint}
            value={form.subject ?? ""}
            onValue={set("subject")}
            input={{ maxLength: LONGEST, autocapitalize: "none", spellcheck: false }}
          />
          <Choice
            label={text.audit.method}
            all={text.audit.anything}
            options={METHODS}
            value={form.method ?? ""}
            onValue={set("method")}
          />
          <Input
            label={text.audit.resource}
            hint={text.audit.resourceHint}
            value={form.resource ?? ""}
            onValue={set("resource")}
            input={{ maxLength: LONGEST, autocapitalize: "none", spellcheck: false }}
          />
          <Choice
            label={text.audit.outcome}
            all={text.audit.any}
            options={OUTCOMES.map((each) => [each, text.audit.outcomes[each]])}
            value={form.outcome ?? ""}
            onValue={set("outcome")}
          />
          <Input
            label={text.audit.from}
            hint={text.audit.yourTime}
            value={localTime(form.start_time)}
            onValue={(local) => set("start_time")(exact(local))}
            input={{ type: "datetime-local" }}
          />
          <Input
            label={text.audit.to}
            hint={text.audit.yourTime}
            value={localTime(form.end_time)}
            onValue={(local) => set("end_time")(exact(local))}
            input={{ type: "datetime-local" }}
          />
        </div>
        <div class="actions">
          <Button type="submit" look="primary">
            {text.audit.apply}
          </Button>
          {inUse && <Button onClick={() => onFilter({})}>{text.audit.clear}</Button>}
        </div>
      </form>
    </details>
  );
}

function inWords({ subject, method, resource, outcome, start_time, end_time }: Filter): string[] {
  return [
    subject,
    method && methodInWords(method),
    resource,
    OUTCOMES.filter((each) => each === outcome).map((each) => text.audit.outcomes[each])[0],
    start_time && text.audit.since(exactTime(start_time)),
    end_time && text.audit.before(exactTime(end_time)),
  ].filter((each) => each !== undefined);
}

interface ChoiceProps {
  label: string;
  /** What stands for no choice. */
  all: string;
  /** Values, and what they are called. */
  options: [string, string][];
  value: string;
  onValue: (value: string) => void;
}

function Choice({ label, all, options, value, onValue }: ChoiceProps) {
  return (
    <Field label={label}>
      {(control) => (
        <select {...control} value={value} onChange={(event) => onValue(event.currentTarget.value)}>
          <option value="">{all}</option>
          {options.map(([id, name]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
