import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { text } from "../text";
import { Button } from "./button";
import { Dialog } from "./dialog";
import { Refusal } from "./refusal";

interface Props {
  /** A question that names what it is about: "Reboot ns1.example.net?" */
  title: string;
  /** What the button does: "Reboot". */
  action: string;
  /** What will happen, and what is lost. */
  children: ComponentChildren;
  busy: boolean;
  /** Why it did not work when it was tried; null: it was not tried. */
  error: Error | null;
  disabled?: boolean;
  onConfirm: () => void;
  onClose: () => void;
}

/** Asks before something is done that hurts. */
export function Confirm(props: Props) {
  const end = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // On a phone it would stand below what one sees.
    if (props.error) end.current?.scrollIntoView({ block: "end" });
  }, [props.error]);
  return (
    <Dialog
      title={props.title}
      onClose={props.onClose}
      footer={
        <>
          <Button onClick={props.onClose}>{text.cancel}</Button>
          <Button
            look="danger"
            busy={props.busy}
            disabled={props.disabled}
            onClick={props.onConfirm}
          >
            {props.action}
          </Button>
        </>
      }
    >
      {props.children}
      <div ref={end} class="confirm-end">
        <Refusal error={props.error} />
      </div>
    </Dialog>
  );
}
