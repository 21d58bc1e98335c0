import { useMutation } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { useFreshQuery } from "../api/fresh";
import type { AntihackStatus } from "../api/schema";

const INTERVAL_MS = 60_000;
export const PAGE = 50;

export interface Sought {
  /** Only this blocked address; empty: all. */
  ip: string;
  /** Of the page; empty: the first. */
  token: string;
}

/** The health of each gateway, and a page of the addresses that they block. */
export function useAntihack(hostname: string, { ip, token }: Sought) {
  return useFreshQuery<AntihackStatus>({
    queryKey: ["antihack", hostname, ip, token],
    refetchInterval: INTERVAL_MS,
    keepPrevious: true,
    queryFn: (age, signal) => {
      const query = { ...age, blocked_ip: ip, page_size: PAGE, page_token: token };
      return answer(
        api.GET("/servers/{hostname}/antihack", {
          params: { path: { hostname }, query },
          signal,
        }),
      );
    },
  });
}

export interface Unban {
  ip: string;
  /** Only this one; empty: every one of the server's. */
  jail: string;
}

/** Unbans an address; answers with what was read back from fail2ban. */
export function useUnban(hostname: string, onDone: () => Promise<void>) {
  return useMutation({
    mutationFn: (what: Unban) =>
      answer(
        api.POST("/servers/{hostname}/antihack/unban", {
          params: { path: { hostname } },
          body: what,
        }),
      ),
    onSettled: () => void onDone(),
  });
}
