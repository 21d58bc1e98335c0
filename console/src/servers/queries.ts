import { useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { allPages } from "../api/pages";
import type { Server } from "../api/schema";

const LARGEST_PAGE = 1000;

/** Every server of the account, by hostname. */
export function useServers() {
  return useQuery({
    queryKey: ["servers"],
    queryFn: ({ signal }): Promise<Server[]> =>
      allPages(async (page_token) => {
        const query = { page_size: LARGEST_PAGE, page_token };
        const page = await answer(api.GET("/servers", { params: { query }, signal }));
        return { items: page.servers, next: page.next_page_token };
      }),
  });
}
