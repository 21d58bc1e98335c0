import { useInfiniteQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import type { AuditRecordOutcome } from "../api/schema";
import type { Filter } from "./filter";

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

function isOutcome(text: string | undefined): text is AuditRecordOutcome {
  return text === "ACCEPTED" || text === "REFUSED" || text === "FAILED";
}
