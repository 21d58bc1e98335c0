import { Field } from "../parts/field";
import { text } from "../text";

interface Props {
  hint: string;
  value: string;
  onValue: (value: string) => void;
}

/** A field for OpenSSH public keys, one a line. */
export function SshKeysField({ hint, value, onValue }: Props) {
  return (
    <Field
      label={text.servers.sshKeys}
      hint={hint}
      error={holdsPrivateKey(value) && text.servers.privateKey}
    >
      {(control) => (
        <textarea
          {...control}
          rows={3}
          spellcheck={false}
          autocomplete="off"
          placeholder="ssh-ed25519 AAAA… me@home"
          value={value}
          onInput={(event) => onValue(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

/** The keys in what was put in. */
export function keysIn(lines: string): string[] {
  const keys = lines.split("\n").map((line) => line.trim());
  return [...new Set(keys.filter(Boolean))];
}

/** Whether somebody put in what must never leave their machine. */
export function holdsPrivateKey(lines: string): boolean {
  return lines.includes("PRIVATE KEY");
}
