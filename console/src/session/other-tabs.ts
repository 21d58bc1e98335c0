/** The tabs of a browser share one cookie: who signs in or out in one does so in all. */

const channel = new BroadcastChannel("session");

/** Tells the other tabs that somebody signed in or out. */
export function tellOtherTabs(): void {
  channel.postMessage(null);
}

/** Calls back whenever another tab tells that; returns how to stop. */
export function onOtherTabs(changed: () => void): () => void {
  channel.addEventListener("message", changed);
  return () => channel.removeEventListener("message", changed);
}
