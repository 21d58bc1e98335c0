import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useRef } from "preact/hooks";

interface Options<Data> {
  queryKey: readonly unknown[];
  /** Asks the API; `age` goes into the call's query. */
  queryFn: (age: { max_age_seconds?: number }, signal: AbortSignal) => Promise<Data>;
  refetchInterval: number;
  /** Whether the answer to another key stands in until there is one: `isPlaceholderData` says so. */
  keepPrevious?: boolean;
}

/**
 * A query of what the API keeps for a while, since who knows it is slow. `refresh` asks them anew.
 *
 * A failure is told at once: it is asked for again after the interval, and no sooner.
 */
export function useFreshQuery<Data>({ queryFn, keepPrevious, ...options }: Options<Data>) {
  const fresh = useRef(false);
  const query = useQuery<Data>({
    ...options,
    retry: false,
    ...(keepPrevious && { placeholderData: keepPreviousData }),
    queryFn: ({ signal }) => queryFn(fresh.current ? { max_age_seconds: 0 } : {}, signal),
  });
  async function refresh(): Promise<void> {
    fresh.current = true;
    try {
      await query.refetch();
    } finally {
      fresh.current = false;
    }
  }
  return { query, refresh };
}
