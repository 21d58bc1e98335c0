import { Check, Copy as CopyIcon } from "lucide-preact";
import { useState } from "preact/hooks";
import { text } from "../text";
import { Button } from "./button";

interface Props {
  /** What is copied. */
  value: string;
  label: string;
}

/** Copies a text to the clipboard, and says that it did. */
export function Copy({ value, label }: Props) {
  const [copied, setCopied] = useState(false);
  return (
    <Button
      icon={copied ? <Check aria-hidden="true" /> : <CopyIcon aria-hidden="true" />}
      onClick={async () => setCopied(await copy(value))}
    >
      <span aria-live="polite">{copied ? text.copied : label}</span>
    </Button>
  );
}

/** Whether it could be copied. Over http browsers have no clipboard for scripts, but the command. */
async function copy(value: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    const field = document.createElement("textarea");
    field.value = value;
    field.className = "offscreen";
    // Inside a modal dialog nothing outside can have the focus.
    const focused = document.activeElement;
    (focused?.closest("dialog") ?? document.body).append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (focused instanceof HTMLElement) focused.focus();
    return done;
  }
}
