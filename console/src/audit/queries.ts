import { useInfiniteQuery, useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { allPages } from "../api/pages";
import type { ApiKey, AuditRecordOutcome } from "../api/schema";
import type { Filter } from "./filter";

const LARGEST_PAGE = 1000;

/** The account's audit records, newest first, page by page. Needs the role MEMBER. */
export function useAuditRecords(filter: Filter) {
  return useInfiniteQuery({
    queryKey: ["audit", filter],
    initialPageParam: "",
    queryFn: ({ pageParam: page_token, signal }) => {
      const { outcome, ...others } = filter;
      const query = {
        ...others,
        ...(isOutcome(outcome) && { outcome }),
        ...(page_token && { page_token }),
      };
      return answer(api.GET("/audit", { params: { query }, signal }));
    },
    getNextPageParam: ({ next_page_token }) => next_page_token || undefined,
  });
}

/** What the holders of the account's keys call them, by the key's id. */
export function useKeyLabels() {
  return useQuery({
    queryKey: ["keys", "labels"],
    queryFn: ({ signal }): Promise<ApiKey[]> =>
      allPages(async (page_token) => {
        const query = { page_size: LARGEST_PAGE, page_token };
        const page = await answer(api.GET("/keys", { params: { query }, signal }));
        return { items: page.keys, next: page.next_page_token };
      }),
    select: (keys) => new Map(keys.map(({ id, label }) => [id, label])),
  });
}

function isOutcome(text: string | undefined): text is AuditRecordOutcome {
  return text === "ACCEPTED" || text === "REFUSED" || text === "FAILED";
}
