import { useEffect, useState } from "preact/hooks";
import { language } from "../text";

const EXACT = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "long" });
const AGO = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
/** Units and their seconds. Months are too coarse for what lives 90 days. */
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ["year", 31_536_000],
  ["day", 86_400],
  ["hour", 3600],
  ["minute", 60],
  ["second", 1],
];

/** A moment (RFC 3339) as how long ago, or how long until, with the exact time on hovering. */
export function Time({ at }: { at: string }) {
  useTicks();
  const moment = new Date(at);
  return (
    <time dateTime={at} title={EXACT.format(moment)}>
      {distance((moment.getTime() - Date.now()) / 1000)}
    </time>
  );
}

/** A moment (RFC 3339) in the reader's own time zone, to the second. */
export function exactTime(at: string): string {
  return EXACT.format(new Date(at));
}

/** So many seconds from now, before it when negative, in words. */
export function distance(seconds: number): string {
  const [unit, size] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? ["second", 1];
  return AGO.format(Math.round(seconds / size), unit);
}

const REFRESH_MS = 10_000;

/** Draws again and again, since what is drawn tells how long ago something was. */
function useTicks(): void {
  const [, setTicks] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTicks((ticks) => ticks + 1), REFRESH_MS);
    return () => clearInterval(timer);
  }, []);
}
