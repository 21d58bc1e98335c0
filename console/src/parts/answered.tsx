import type { UseQueryResult } from "@tanstack/preact-query";
import type { ComponentChildren } from "preact";
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
  if (query.error instanceof Failure && query.error.notOffered) {
    return <p class="muted">{text.notOffered}</p>;
  }
  return (
    <>
      {query.isError && (
        <div class="refused">
          <Refusal error={query.error} />
          <Button busy={query.isFetching} onClick={() => query.refetch()}>
            {text.tryAgain}
          </Button>
        </div>
      )}
      {query.isError && query.data !== undefined && <p class="small muted">{text.stale}</p>}
      {query.isPending && (
        <p class="waiting" role="status">
          <span class="spinner" aria-hidden="true" /> {text.loading}
        </p>
      )}
      {query.data !== undefined && children(query.data)}
    </>
  );
}
