import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  title: string;
  /** Beside the title: what one can do here. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A part of a page about one thing. */
export function Section({ title, actions, children }: Props) {
  const heading = useId();
  return (
    <section class="card section" aria-labelledby={heading}>
      <div class="section-head">
        <h2 id={heading}>{title}</h2>
        {actions && <div class="actions">{actions}</div>}
      </div>
      {children}
    </section>
  );
}
