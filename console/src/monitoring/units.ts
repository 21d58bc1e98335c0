/** How figures of a unit are shown. */

import { language, text } from "../text";

const PREFIXES = [
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
] as const;

/** How all figures of one chart are shown. */
export interface Scale {
  /** What a figure is divided by before it is shown. */
  divisor: number;
  unit: string;
}

/** The scale for figures in `unit`, as the API names it, of which `most` is the largest. */
export function scaleOf(unit: string, most: number): Scale {
  if (unit === "ratio") return { divisor: 0.01, unit: text.monitoring.percent };
  if (unit !== "bit/s") return { divisor: 1, unit };
  const [divisor, prefix] = PREFIXES.find(([size]) => most >= size) ?? [1, ""];
  return { divisor, unit: prefix + unit };
}

const DAY = new Intl.DateTimeFormat(language, { day: "numeric", month: "short" });
const CLOCK = new Intl.DateTimeFormat(language, {
  hour: "2-digit",
  minute: "2-digit",
  hourCycle: "h23",
});
const DAY_SECONDS = 86_400;

/** A moment, in seconds since 1970, on an axis whose marks are `step` seconds apart. */
export function moment(seconds: number, step: number): string {
  return (step < DAY_SECONDS ? CLOCK : DAY).format(seconds * 1000);
}
