import type { UseQueryResult } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Failure } from "../api/failure";
import { text } from "../text";
import { Button } from "./button";
import { Refusal } from "./refusal";

interface Props<Data> {
  query: UseQueryResult<Data, Error>;
  children: (data: Data) => ComponentChildren;
}

/** What a call answered: until it has, that it has not; when it fails, why, and what was known before. */
export function Answered<Data>({ query, children }: Props<Data>) {
  // What was told stays while it is asked again for what never came: else it comes and goes.
  const last = useRef<Error | null>(null);
  if (query.error) last.current = query.error;
  const again = query.isPending && query.errorUpdateCount > 0;
  const error = again ? last.current : query.error;
  if (query.error instanceof Failure && query.error.notOffered) {
    return <p class="muted">{text.notOffered}</p>;
  }
  return (
    <>
      {error && (
        <div class="refused">
          <Refusal error={error} />
          <Button busy={query.isFetching} onClick={() => query.refetch()}>
            {text.tryAgain}
          </Button>
        </div>
      )}
      {query.isError && query.data !== undefined && <p class="small muted">{text.stale}</p>}
      {query.isPending && !error && (
        <p class="waiting" role="status">
          <span class="spinner" aria-hidden="true" /> {text.loading}
        </p>
      )}
      {query.data !== undefined && children(query.data)}
    </>
  );
}
