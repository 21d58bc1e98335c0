import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { text } from "../text";
import { Button } from "./button";
import { Field } from "./field";

interface Props {
  label: string;
  hint?: string;
  error?: string;
  input: JSX.InputHTMLAttributes<HTMLInputElement>;
  value: string;
  onValue: (value: string) => void;
}

/** The most characters that the API takes. */
const LONGEST = 256;

/** A password, which can be shown while it is typed. */
export function Password({ input, value, onValue, ...field }: Props) {
  const [shown, setShown] = useState(false);
  return (
    <Field {...field}>
      {(control) => (
        <div class="password">
          <input
            {...control}
            {...input}
            type={shown ? "text" : "password"}
            autocapitalize="none"
            spellcheck={false}
            required
            maxLength={LONGEST}
            value={value}
            onInput={(event) => onValue(event.currentTarget.value)}
          />
          <Button aria-pressed={shown} aria-controls={control.id} onClick={() => setShown(!shown)}>
            {text.show}
          </Button>
        </div>
      )}
    </Field>
  );
}
