import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../api/client";

const INTERVAL_MS = 120_000;

/** A server's addresses, with their PTR records as the DNS holds them now. */
export function useIps(hostname: string) {
  return useQuery({
    queryKey: ["ips", hostname],
    refetchInterval: INTERVAL_MS,
    queryFn: async ({ signal }) => {
      const path = { hostname };
      const told = await answer(api.GET("/servers/{hostname}/ips", { params: { path }, signal }));
      return told.ips;
    },
  });
}

/** Asks for the addresses of every server again. */
export function useForgetIps() {
  const client = useQueryClient();
  return () => client.invalidateQueries({ queryKey: ["ips"] });
}

/** The PTR record that an address has, with whether its name leads back. */
export function usePtr(ip: string, there: boolean) {
  return useQuery({
    queryKey: ["ptr", ip],
    enabled: there,
    staleTime: 0,
    queryFn: ({ signal }) => answer(api.GET("/ips/{ip}/ptr", { params: { path: { ip } }, signal })),
  });
}

/** Sets the PTR record of an address. Fails with FORWARD_NOT_CONFIRMED or DNS_REFUSED, say. */
export function useSetPtr(ip: string) {
  const forget = useForgetIps();
  return useMutation({
    mutationFn: (ptr: string) =>
      answer(api.PUT("/ips/{ip}/ptr", { params: { path: { ip } }, body: { ptr } })),
    onSettled: forget,
  });
}

/** Removes the PTR record of an address. */
export function useDeletePtr(ip: string) {
  const forget = useForgetIps();
  return useMutation({
    mutationFn: () => answer(api.DELETE("/ips/{ip}/ptr", { params: { path: { ip } } })),
    onSettled: forget,
  });
}

export interface Move {
  ip: string;
  hostname: string;
  /** The same for the same move, so that it is done once. */
  requestId: string;
}

/** Moves a failover address to another server; answers with the operation. */
export function useMoveIp() {
  const forget = useForgetIps();
  return useMutation({
    mutationFn: ({ ip, hostname, requestId }: Move) =>
      answer(
        api.POST("/ips/{ip}/move", {
          params: { path: { ip }, header: { "Idempotency-Key": requestId } },
          body: { hostname },
        }),
      ),
    onSettled: forget,
  });
}
