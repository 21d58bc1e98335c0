/** Which records are shown: it stands in the address, so that a link leads to the same ones. */

import { useSearchParams } from "wouter-preact";

/** By the names of the API's parameters; what is not set is not asked for. Times as RFC 3339. */
const NAMES = ["subject", "resource", "method", "outcome", "start_time", "end_time"] as const;

export type Filter = Partial<Record<(typeof NAMES)[number], string>>;

export function useFilter(): [Filter, (filter: Filter) => void] {
  const [params, setParams] = useSearchParams();
  const filter: Filter = {};
  for (const name of NAMES) {
    const value = params.get(name);
    // A link that was cut off or changed by hand may hold what is no time.
    const fits = !name.endsWith("_time") || localTime(value ?? "") !== "";
    if (value && fits) filter[name] = value;
  }
  return [filter, (next) => setParams(query(next))];
}

/** The place of this page with a filter. */
export function placeOf(filter: Filter): string {
  return `/audit?${query(filter)}`;
}

/** As a field for local time has it, without seconds; empty: no time. */
export function localTime(time: string | undefined): string {
  const moment = new Date(time ?? "");
  if (Number.isNaN(moment.getTime())) return "";
  const shifted = new Date(moment.getTime() - moment.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

/** The other way round. */
export function exact(local: string): string {
  const moment = new Date(local);
  return Number.isNaN(moment.getTime()) ? "" : moment.toISOString();
}

function query(filter: Filter): URLSearchParams {
  return new URLSearchParams(Object.entries(filter).filter(([, value]) => value));
}
