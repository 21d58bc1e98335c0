import { useEffect, useState } from "preact/hooks";
import { language } from "../text";

const FORMAT = {
  hour: new Intl.NumberFormat(language, { style: "unit", unit: "hour", unitDisplay: "short" }),
  minute: new Intl.NumberFormat(language, { style: "unit", unit: "minute", unitDisplay: "short" }),
  second: new Intl.NumberFormat(language, { style: "unit", unit: "second", unitDisplay: "short" }),
};

/** How many seconds it is until `end` (milliseconds since 1970), counted down; 0: it is over. */
export function useSecondsUntil(end: number): number {
  const [now, setNow] = useState(Date.now);
  const left = Math.max(0, Math.ceil((end - now) / 1000));
  const waits = left > 0;
  useEffect(() => {
    if (!waits) return;
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, [waits]);
  return left;
}

/** A span in words: "1 hr 5 min 3 sec". */
export function span(seconds: number): string {
  const parts = {
    hour: Math.floor(seconds / 3600),
    minute: Math.floor((seconds % 3600) / 60),
    second: seconds % 60,
  };
  return (Object.keys(FORMAT) as (keyof typeof FORMAT)[])
    .filter((unit) => parts[unit] > 0)
    .map((unit) => FORMAT[unit].format(parts[unit]))
    .join(" ");
}
