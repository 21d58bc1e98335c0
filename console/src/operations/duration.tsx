import { useEffect, useState } from "preact/hooks";
import { text } from "../text";

const TICK_MS = 1_000;

interface Props {
  /** Moments (RFC 3339). Without the end it goes on. */
  from: string;
  to: string | undefined;
}

/** How long something took, or has taken until now. */
export function Duration({ from, to }: Props) {
  const [now, setNow] = useState(Date.now());
  useEffect(() => {
    if (to) return;
    setNow(Date.now());
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, [to]);
  // This clock may be behind the API's.
  const seconds = Math.max(0, (to ? Date.parse(to) : now) - Date.parse(from)) / 1000;
  return <>{to ? text.operations.seconds(seconds) : text.operations.counting(seconds)}</>;
}
