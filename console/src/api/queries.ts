/** What was asked of the API is kept here, for as long as the page is open, and asked for again. */

import { MutationCache, QueryCache, QueryClient } from "@tanstack/preact-query";
import { Failure } from "./failure";

/** What the API says of a cookie that holds no session any more, and of none. */
const ENDED = new Set(["SESSION_INVALID", "CREDENTIAL_MISSING"]);

const ATTEMPTS = 2;
const SLOWEST_RETRY_MS = 15_000;

/** How often is asked again for what the API did not answer at all. */
const AGAIN_MS = 3_000;

/** `onEnded` is called whenever a call is refused because the session has ended. */
export function newQueryClient(onEnded: () => void): QueryClient {
  const look = (error: unknown) => {
    if (error instanceof Failure && ENDED.has(error.reason)) onEnded();
  };
  return new QueryClient({
    queryCache: new QueryCache({ onError: look }),
    mutationCache: new MutationCache({ onError: look }),
    defaultOptions: {
      queries: {
        staleTime: 5_000,
        // A browser that believes to be offline may still reach this host.
        networkMode: "always",
        // What was told to have failed is mended by itself when the API or the network is back.
        refetchOnReconnect: true,
        refetchInterval: ({ state: { error } }) =>
          error instanceof Failure && error.passing ? AGAIN_MS : false,
        retry: (count, error) => count < ATTEMPTS && error instanceof Failure && error.passing,
        retryDelay: (count, error) =>
          error instanceof Failure && error.retrySeconds > 0
            ? Math.min(error.retrySeconds * 1000, SLOWEST_RETRY_MS)
            : Math.min(1000 * 2 ** count, SLOWEST_RETRY_MS),
      },
      // What changes something is sent once; who sends it again decides that.
      mutations: { networkMode: "always", retry: false, gcTime: 0 },
    },
  });
}
