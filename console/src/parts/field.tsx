import type { ComponentChildren, JSX } from "preact";
import { useId } from "preact/hooks";

/** What the control of a field is to carry, so that all is read out together. */
export interface Control {
  id: string;
  "aria-describedby": string;
  "aria-invalid": boolean;
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong with what was put in; empty: nothing. */
  error?: ComponentChildren;
  children: (control: Control) => ComponentChildren;
}

/** A labelled control with what helps to fill it in. */
export function Field({ label, hint, error, children }: FieldProps) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {children({ id, "aria-describedby": `${id}-more`, "aria-invalid": Boolean(error) })}
      <div id={`${id}-more`}>
        {error && (
          <div class="error" role="alert">
            {error}
          </div>
        )}
        {hint && <div class="hint">{hint}</div>}
      </div>
    </div>
  );
}

interface InputProps extends Omit<FieldProps, "children"> {
  input: JSX.InputHTMLAttributes<HTMLInputElement>;
  value: string;
  onValue: (value: string) => void;
}

/** A field of one line. */
export function Input({ input, value, onValue, ...field }: InputProps) {
  return (
    <Field {...field}>
      {(control) => (
        <input
          {...control}
          {...input}
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}
