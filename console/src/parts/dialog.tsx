import { X } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { text } from "../text";

interface Props {
  title: string;
  /** Called on Escape and the cross; without it, the dialog has neither. */
  onClose?: () => void;
  /** Buttons, the one that goes on last. */
  footer?: ComponentChildren;
  /** What is behind it cannot be seen. */
  covers?: boolean;
  children: ComponentChildren;
}

/** A modal dialog: the browser keeps the focus inside, and gives it back afterwards. */
export function Dialog({ title, onClose, footer, covers, children }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const shown = dialog.current;
    shown?.showModal();
    return () => shown?.close();
  }, []);
  return (
    <dialog
      ref={dialog}
      class={covers ? "dialog covers" : "dialog"}
      aria-labelledby={heading}
      onCancel={(event) => {
        event.preventDefault();
        onClose?.();
      }}
    >
      <header>
        <h2 id={heading}>{title}</h2>
        {onClose && (
          <button type="button" class="button quiet" aria-label={text.close} onClick={onClose}>
            <X aria-hidden="true" />
          </button>
        )}
      </header>
      <div class="dialog-body">{children}</div>
      {footer && <footer>{footer}</footer>}
    </dialog>
  );
}
