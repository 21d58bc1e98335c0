import type { ComponentChildren, JSX } from "preact";

interface Props extends Omit<JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> {
  /** `primary`: what one came for. `danger`: it destroys or stops something. `quiet`: no frame. */
  look?: "plain" | "primary" | "danger" | "quiet";
  /** Under way: it cannot be pressed, and says so. */
  busy?: boolean;
  /** Id of what says why it cannot be pressed now. It keeps the focus, so that this is read out. */
  off?: string | undefined;
  icon?: ComponentChildren;
}

export function Button({ look = "plain", busy = false, off, icon, children, ...button }: Props) {
  return (
    <button
      type="button"
      {...button}
      class={`button ${look} ${button.class ?? ""}`}
      disabled={busy || button.disabled}
      aria-busy={busy}
      {...(off && { "aria-disabled": true, "aria-describedby": off, onClick: undefined })}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}
