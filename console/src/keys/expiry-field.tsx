import { Field, Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { exactTime } from "../parts/time";
import { text } from "../text";
import { CHOICES, dayOf, type Expiry, endOf } from "./expiry";

interface Props {
  expiry: Expiry;
  error: string;
  onExpiry: (expiry: Expiry) => void;
}

/** When a key is to stop to work. */
export function ExpiryField({ expiry, error, onExpiry }: Props) {
  const now = Date.now();
  const end = endOf(expiry, now);
  const isDay = expiry.choice === "date";
  return (
    <>
      <Field
        label={text.keys.expiry}
        hint={end && text.keys.worksUntil(exactTime(end.toISOString()))}
        error={isDay ? "" : error}
      >
        {(control) => (
          <select
            {...control}
            value={expiry.choice}
            onChange={({ currentTarget }) => {
              const choice = CHOICES.find((each) => each === currentTarget.value);
              if (choice) onExpiry({ ...expiry, choice });
            }}
          >
            {CHOICES.map((choice) => (
              <option key={choice} value={choice}>
                {text.keys.expiryChoices[choice]}
              </option>
            ))}
          </select>
        )}
      </Field>
      {isDay && (
        <Input
          label={text.keys.lastDay}
          value={expiry.day}
          onValue={(day) => onExpiry({ ...expiry, day })}
          error={error}
          input={{ type: "date", min: dayOf(now) }}
        />
      )}
      {expiry.choice === "never" && <Notice kind="warning">{text.keys.warnings.NO_EXPIRY}</Notice>}
    </>
  );
}
