import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import type { PrincipalName } from "../api/schema";

/** What keys and people of the account are called, by their ids. */
export type Names = ReadonlyMap<string, PrincipalName>;

/** So many the API tells at once. */
const AT_ONCE = 100;

/** Other subjects have no name: what somebody claimed to be, for instance. */
const ID = /^[0-9a-f]{16}$/;

const NONE: Names = new Map();

/** The names of these, as far as they are known. */
export function useNames(subjects: string[]): Names {
  const ids = [...new Set(subjects)].filter((subject) => ID.test(subject)).sort();
  const names = useQuery({
    queryKey: ["principals", ids],
    enabled: ids.length > 0,
    // While one more is asked for, the others keep their names.
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<Names> => {
      const found = await Promise.all(
        inParts(ids).map((part) =>
          answer(api.GET("/principals", { params: { query: { ids: part } }, signal })),
        ),
      );
      return new Map(found.flatMap((told) => told.names.map((each) => [each.id, each])));
    },
  });
  return names.data ?? NONE;
}

function inParts(ids: string[]): string[][] {
  const starts = [...Array(Math.ceil(ids.length / AT_ONCE)).keys()];
  return starts.map((part) => ids.slice(part * AT_ONCE, (part + 1) * AT_ONCE));
}
