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

/** A mark of an axis whose marks are `step` seconds apart; midnight is told by its day. */
export function mark(seconds: number, step: number): string {
  const date = new Date(seconds * 1000);
  const midnight = date.getHours() === 0 && date.getMinutes() === 0;
  return (step < DAY_SECONDS && !midnight ? CLOCK : DAY).format(date);
}

/** When a step that is so long began, both in seconds. */
export function moment(seconds: number, step: number): string {
  const day = DAY.format(seconds * 1000);
  return step < DAY_SECONDS ? `${day}, ${CLOCK.format(seconds * 1000)}` : day;
}
