import { useId } from "preact/hooks";

interface Props<Value extends string> {
  legend: string;
  choices: { value: Value; label: string; note: string }[];
  /** Empty: nothing is chosen yet. */
  chosen: Value | "";
  onChosen: (value: Value) => void;
}

/** Things of which one is chosen, each with what it means. */
export function Choices<Value extends string>(props: Props<Value>) {
  const name = useId();
  return (
    <fieldset class="choices">
      <legend>{props.legend}</legend>
      {props.choices.map(({ value, label, note }) => (
        <label key={value} class="tick">
          <input
            type="radio"
            name={name}
            checked={props.chosen === value}
            onChange={() => props.onChosen(value)}
          />
          <span>
            {label}
            <span class="small muted">{note}</span>
          </span>
        </label>
      ))}
    </fieldset>
  );
}
