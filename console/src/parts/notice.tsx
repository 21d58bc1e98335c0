import { CircleAlert, CircleCheck, Info, TriangleAlert } from "lucide-preact";
import type { ComponentChildren } from "preact";

const ICONS = { info: Info, good: CircleCheck, warning: TriangleAlert, bad: CircleAlert };

interface Props {
  kind: keyof typeof ICONS;
  children: ComponentChildren;
}

/** Something to know. What is bad is read out at once. */
export function Notice({ kind, children }: Props) {
  const Icon = ICONS[kind];
  return (
    <div class={`notice ${kind}`} role={kind === "bad" ? "alert" : "status"}>
      <Icon aria-hidden="true" />
      <div>{children}</div>
    </div>
  );
}
