/** The stream of an operation: server-sent events, each with the operation as it is then. */

import type { Operation } from "../api/schema";

/** A stream ends after five minutes at the latest; then it is watched again. */
const AGAIN_MS = 1_000;

/** After a stream of which nothing came: a proxy may be in the way, or too many are watched. */
const LATER_MS = 20_000;

/**
 * Watches an operation ("operations/…") until the answer is called.
 *
 * `onOperation` is called with each state that comes. `onLive` is told whether states do come: while
 * they do not, because the stream failed, ended or is kept back on its way, ask yourself. A page that
 * nobody sees holds no stream, for a browser has about six connections to a host, for all its tabs.
 */
export function watchOperation(
  name: string,
  onOperation: (operation: Operation) => void,
  onLive: (live: boolean) => void,
): () => void {
  let source: EventSource | null = null;
  let timer = 0;

  function open(): void {
    let heard = false;
    source = new EventSource(`/api/${name}/watch`);
    source.onmessage = ({ data }) => {
      const operation = operationIn(data);
      if (operation?.name !== name) return;
      heard = true;
      onLive(true);
      onOperation(operation);
    };
    source.onerror = () => {
      close();
      timer = setTimeout(open, heard ? AGAIN_MS : LATER_MS);
    };
  }

  function close(): void {
    clearTimeout(timer);
    source?.close();
    source = null;
    onLive(false);
  }

  function seenOrNot(): void {
    close();
    if (!document.hidden) open();
  }

  document.addEventListener("visibilitychange", seenOrNot);
  seenOrNot();
  return () => {
    document.removeEventListener("visibilitychange", seenOrNot);
    close();
  };
}

/** The operation that an event carries; null: something else. */
function operationIn(data: string): Operation | null {
  try {
    return JSON.parse(data) as Operation;
  } catch {
    return null;
  }
}
