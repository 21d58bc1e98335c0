import { useMutation, useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";

const INTERVAL_MS = 60_000;

/** Our block, and Spamhaus' listings, of each of a server's addresses. */
export function useAntispam(hostname: string) {
  return useQuery({
    queryKey: ["antispam", hostname],
    refetchInterval: INTERVAL_MS,
    queryFn: async ({ signal }) => {
      const path = { hostname };
      const told = await answer(
        api.GET("/servers/{hostname}/antispam", { params: { path }, signal }),
      );
      return told.addresses;
    },
  });
}

/** Unblocks port 25 of an address; answers with the operation. Fails with IP_LISTED, say. */
export function useUnblock(hostname: string, ip: string, requestId: string) {
  return useMutation({
    mutationFn: () =>
      answer(
        api.POST("/servers/{hostname}/antispam/unblock", {
          params: { path: { hostname }, header: { "Idempotency-Key": requestId } },
          body: { ip },
        }),
      ),
  });
}
