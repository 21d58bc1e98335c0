import type { ComponentChildren, JSX } from "preact";

interface Props extends Omit<JSX.ButtonHTMLAttributes<HTMLButtonElement>, "icon"> {
  /** `primary`: what one came for. `danger`: it destroys or stops something. `quiet`: no frame. */
  look?: "plain" | "primary" | "danger" | "quiet";
  /** Under way: it cannot be pressed, and says so. */
  busy?: boolean;
  icon?: ComponentChildren;
}

export function Button({ look = "plain", busy = false, icon, children, ...button }: Props) {
  return (
    <button
      type="button"
      {...button}
      class={`button ${look} ${button.class ?? ""}`}
      disabled={busy || button.disabled}
      aria-busy={busy}
    >
      {busy ? <span class="spinner" aria-hidden="true" /> : icon}
      {children}
    </button>
  );
}
