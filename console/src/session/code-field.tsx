import { Input } from "../parts/field";
import { text } from "../text";

interface Props {
  value: string;
  onValue: (value: string) => void;
}

/** Where a code of the second factor is put in, or a recovery code in its place. */
export function CodeField({ value, onValue }: Props) {
  return (
    <Input
      label={text.signIn.code}
      hint={text.signIn.codeHint}
      value={value}
      onValue={onValue}
      input={{
        autocomplete: "one-time-code",
        autocapitalize: "none",
        spellcheck: false,
        required: true,
        minLength: 6,
        maxLength: 32,
      }}
    />
  );
}
