import { useEffect, useState } from "preact/hooks";
import { Failure } from "../api/failure";

/** How many seconds it still makes no sense to try again what failed like this; 0: none. */
export function useWait(error: Error | null): number {
  const [left, setLeft] = useState(0);
  useEffect(() => {
    if (!(error instanceof Failure) || error.reason !== "RATE_LIMITED") return;
    const end = Date.now() + error.retrySeconds * 1000;
    function tick(): void {
      setLeft(Math.max(0, Math.ceil((end - Date.now()) / 1000)));
    }
    tick();
    const timer = setInterval(tick, 1000);
    return () => {
      clearInterval(timer);
      setLeft(0);
    };
  }, [error]);
  return left;
}
