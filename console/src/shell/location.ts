/** Where one is stands in the fragment of the address, its query too: no server sees either. */

import { useHashLocation } from "wouter-preact/use-hash-location";

interface How {
  /** Whether going back leads to where one was before this page. */
  replace?: boolean;
}

/** For wouter's Router: the path before the "?", and how to go elsewhere. */
export function usePlace(): [string, (to: string, how?: How) => void] {
  const [whole] = useHashLocation();
  return [split(whole).path, go];
}

usePlace.searchHook = (): string => split(useHashLocation()[0]).query;
usePlace.hrefs = (path: string): string => `#${path}`;

// wouter's own would put the query before the fragment.
function go(to: string, { replace = false }: How = {}): void {
  history[replace ? "replaceState" : "pushState"](null, "", `#${to}`);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

function split(whole: string): { path: string; query: string } {
  const [path = "", query = ""] = whole.split("?", 2);
  return { path, query };
}
