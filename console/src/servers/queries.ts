import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { allPages } from "../api/pages";
import type { InstallStatus, InstallTemplate, Operation, Server } from "../api/schema";
import { keepOperation } from "../operations/queries";

const LARGEST_PAGE = 1000;

/** How often is looked again for what others do: other tabs, other people, API keys. */
const LOOK_MS = 15_000;
const LIST_MS = 30_000;

/** How often an installer is asked how far it is; it says so every ten seconds. */
const INSTALL_MS = 5_000;

const keyOf = (hostname: string) => ["servers", hostname] as const;

/** Every server of the account, by hostname. */
export function useServers() {
  return useQuery({
    queryKey: ["servers"],
    refetchInterval: LIST_MS,
    queryFn: ({ signal }): Promise<Server[]> =>
      allPages(async (page_token) => {
        const query = { page_size: LARGEST_PAGE, page_token };
        const page = await answer(api.GET("/servers", { params: { query }, signal }));
        return { items: page.servers, next: page.next_page_token };
      }),
  });
}

/** One server. */
export function useServer(hostname: string) {
  return useQuery({
    queryKey: keyOf(hostname),
    refetchInterval: LOOK_MS,
    queryFn: ({ signal }) =>
      answer(api.GET("/servers/{hostname}", { params: { path: { hostname } }, signal })),
  });
}

/** What its BMC says of its power, as the last regular check or command saw it: no BMC is asked. */
export function usePower(hostname: string) {
  return useQuery({
    queryKey: [...keyOf(hostname), "power"],
    refetchInterval: LOOK_MS,
    queryFn: ({ signal }) =>
      answer(api.GET("/servers/{hostname}/ipmi", { params: { path: { hostname } }, signal })),
  });
}

/** Where a server stands with its rescue system. */
export function useRescue(hostname: string) {
  return useQuery({
    queryKey: [...keyOf(hostname), "rescue"],
    refetchInterval: LOOK_MS,
    queryFn: ({ signal }) =>
      answer(api.GET("/servers/{hostname}/rescue", { params: { path: { hostname } }, signal })),
  });
}

/** How far its newest installation is. */
export function useInstallStatus(hostname: string) {
  return useQuery({
    queryKey: [...keyOf(hostname), "install"],
    queryFn: ({ signal }) =>
      answer(
        api.GET("/servers/{hostname}/install/status", { params: { path: { hostname } }, signal }),
      ),
    refetchInterval: ({ state }: { state: { data?: InstallStatus | undefined } }) =>
      state.data?.state === "PENDING" || state.data?.state === "RUNNING" ? INSTALL_MS : LIST_MS,
  });
}

/** Everything that can be installed, by name. */
export function useTemplates() {
  return useQuery({
    queryKey: ["templates"],
    queryFn: ({ signal }): Promise<InstallTemplate[]> =>
      allPages(async (page_token) => {
        const query = { page_size: LARGEST_PAGE, page_token };
        const page = await answer(api.GET("/install/templates", { params: { query }, signal }));
        return { items: page.templates, next: page.next_page_token };
      }),
  });
}

/** Reads root's password in the rescue system, the one time that it can be; kept by nothing here. */
export function useReadRescuePassword(hostname: string) {
  const client = useQueryClient();
  return useMutation({
    gcTime: 0,
    mutationFn: () =>
      answer(
        api.POST("/servers/{hostname}/rescue/password", {
          params: { path: { hostname } },
        }),
      ),
    onSettled: () => client.invalidateQueries({ queryKey: [...keyOf(hostname), "rescue"] }),
  });
}

/** An operation of this server was accepted: what was asked of the API before knows nothing of it. */
export async function beginOperation(
  client: QueryClient,
  hostname: string,
  operation: Operation,
): Promise<void> {
  keepOperation(client, operation);
  await client.cancelQueries({ queryKey: keyOf(hostname), exact: true });
  client.setQueryData<Server>(
    keyOf(hostname),
    (server) => server && { ...server, current_operation: operation.done ? "" : operation.name },
  );
  await client.invalidateQueries({ queryKey: ["servers"] });
}

/** Asks anew for whatever is shown of a server, and for the list of all. */
export function refreshServer(client: QueryClient, hostname: string): Promise<void> {
  return client.invalidateQueries({
    predicate: ({ queryKey }) =>
      queryKey.includes(hostname) || (queryKey[0] === "servers" && queryKey.length === 1),
  });
}
