import {
  type QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/preact-query";
import { useEffect, useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { Failure } from "../api/failure";
import type { Operation } from "../api/schema";
import { watchOperation } from "./stream";

/** How often an operation is asked for while no stream of it comes. */
const POLL_MS = 2_000;

/** And while one does: should it stop without a word. */
const CHECK_MS = 15_000;

const LIST_MS = 30_000;
const PAGE_SIZE = 20;

const ANTISPAM = /^antispam\/operations\//;

const keyOf = (name: string) => ["operation", name] as const;

/** An operation by its name; what is known of it is never replaced by what was before that. */
export function useOperation(name: string) {
  const client = useQueryClient();
  const [live, setLive] = useState(false);
  const query = useQuery({
    queryKey: keyOf(name),
    queryFn: async ({ signal }) => {
      const fresh = await getOperation(name, signal);
      return later(client.getQueryData<Operation>(keyOf(name)), fresh);
    },
    staleTime: ({ state }) => (state.data?.done ? Number.POSITIVE_INFINITY : 0),
    refetchInterval: ({ state }) =>
      state.data?.done || refusedForGood(state.error) ? false : live ? CHECK_MS : POLL_MS,
  });
  const done = query.data?.done ?? false;
  useEffect(() => {
    // The operations of anti-spam have no stream.
    if (done || ANTISPAM.test(name)) return;
    return watchOperation(name, (seen) => keepOperation(client, seen), setLive);
  }, [client, name, done]);
  return query;
}

/** An operation as it was asked for once: what it is does not change, how far it is does. */
export function useOperationKind(name: string) {
  return useQuery({
    queryKey: ["operation-kind", name],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }) => (await getOperation(name, signal)).metadata?.kind ?? null,
  });
}

/** Keeps what an answer or a stream said of an operation. */
export function keepOperation(client: QueryClient, seen: Operation): void {
  client.setQueryData<Operation>(keyOf(seen.name), (known) => later(known, seen));
}

/** The operations of a server, the newest first, page by page. */
export function useOperations(hostname: string) {
  return useInfiniteQuery({
    queryKey: ["servers", hostname, "operations"],
    initialPageParam: "",
    queryFn: ({ pageParam, signal }) => {
      const query = { page_size: PAGE_SIZE, page_token: pageParam };
      const params = { path: { hostname }, query };
      return answer(api.GET("/servers/{hostname}/operations", { params, signal }));
    },
    getNextPageParam: (page) => page.next_page_token || undefined,
    refetchInterval: LIST_MS,
  });
}

/** Cancels an operation. Fails with NOT_CANCELLABLE when its command was sent, or it has ended. */
export function useCancelOperation(onCancelled: () => void) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (name: string) =>
      answer(api.POST("/operations/{id}/cancel", { params: { path: { id: idIn(name) } } })),
    onSuccess: (operation) => {
      keepOperation(client, operation);
      onCancelled();
    },
  });
}

function getOperation(name: string, signal: AbortSignal): Promise<Operation> {
  const asked = { params: { path: { id: idIn(name) } }, signal };
  return answer(
    ANTISPAM.test(name)
      ? api.GET("/antispam/operations/{id}", asked)
      : api.GET("/operations/{id}", asked),
  );
}

function idIn(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

/** Which of the two was seen later; answers may overtake one another. */
function later(known: Operation | undefined, seen: Operation): Operation {
  return known && updated(known) > updated(seen) ? known : seen;
}

function updated({ metadata }: Operation): number {
  return Date.parse(metadata?.update_time ?? "") || 0;
}

function refusedForGood(error: Error | null): boolean {
  return error instanceof Failure && !error.passing;
}
