import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { useMemo, useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { Failure } from "../api/failure";
import { allPages } from "../api/pages";
import type {
  ApiKey,
  CapabilityInfo,
  CreateKeyRequest,
  CreateKeyResponse,
  RotateKeyRequest,
  UpdateKeyRequest,
} from "../api/schema";

/** A new key. */
interface Fresh {
  key: ApiKey;
  secret: string;
}

/** The id of a key that was made, and whose secret was in an answer that did not arrive. */
export interface Lost {
  lost: string;
}

const KEYS = ["keys"] as const;
const LARGEST_PAGE = 1000;
const LOST = new Set(["SECRET_GIVEN", "REQUEST_ID_REUSED"]);

/** Every key of the account, newest first, without the secrets. */
export function useKeys() {
  return useQuery({
    queryKey: KEYS,
    queryFn: ({ signal }): Promise<ApiKey[]> =>
      allPages(async (page_token) => {
        const query = { page_size: LARGEST_PAGE, page_token };
        const page = await answer(api.GET("/keys", { params: { query }, signal }));
        return { items: page.keys, next: page.next_page_token };
      }),
  });
}

/** A key of the account, without its secret. */
export function useKey(id: string) {
  return useQuery({
    queryKey: [...KEYS, id],
    queryFn: ({ signal }) => answer(api.GET("/keys/{id}", { params: { path: { id } }, signal })),
  });
}

/** The catalogue, in the order of the form. */
export function useCapabilities() {
  return useQuery({
    queryKey: ["capabilities"],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }): Promise<CapabilityInfo[]> =>
      (await answer(api.GET("/capabilities", { signal }))).capabilities,
  });
}

/** What capabilities are called, by their ids. */
export type CapabilityLabels = ReadonlyMap<string, string>;

/** The catalogue's labels; empty until they are known. */
export function useCapabilityLabels(): CapabilityLabels {
  const catalogue = useCapabilities().data;
  return useMemo(() => new Map(catalogue?.map(({ id, label }) => [id, label])), [catalogue]);
}

/**
 * Makes a key. However often it is sent with the same `requestId`, it makes one.
 *
 * `unsure`: whether it may have made one already, of which nothing is known here.
 */
export function useCreateKey(requestId: string) {
  const params = { header: { "Idempotency-Key": requestId } };
  return useMaking((body: CreateKeyRequest) => answer(api.POST("/keys", { params, body })));
}

/** Makes the key that takes another's place; as often as useCreateKey. */
export function useRotateKey(id: string, requestId: string) {
  const params = { path: { id }, header: { "Idempotency-Key": requestId } };
  return useMaking((body: RotateKeyRequest) =>
    answer(api.POST("/keys/{id}/rotate", { params, body })),
  );
}

/** Revokes a key. */
export function useRevokeKey(id: string) {
  const params = { path: { id } };
  return useKeyChange(() => answer(api.DELETE("/keys/{id}", { params })));
}

/** Changes a key. */
export function useUpdateKey(id: string) {
  const params = { path: { id } };
  return useKeyChange((body: UpdateKeyRequest) =>
    answer(api.PATCH("/keys/{id}", { params, body })),
  );
}

function useMaking<Given>(make: (given: Given) => Promise<CreateKeyResponse>) {
  const [unanswered, setUnanswered] = useState(false);
  const making = useKeyChange(
    async (given: Given) => {
      try {
        return await make(given).then(made, lost);
      } catch (error) {
        // It stays so when the next one is refused: that says nothing of the one before.
        if (isUnanswered(error)) setUnanswered(true);
        throw error;
      }
    },
    // Whether an answer was lost on its way here or there, only who asks again gets to know.
    (count, error) => count === 0 && isUnanswered(error),
  );
  return { ...making, unsure: unanswered && !making.isPending && !making.isSuccess };
}

function isUnanswered(error: unknown): boolean {
  return error instanceof Failure && !error.refused;
}

function made({ key, secret }: CreateKeyResponse): Fresh {
  if (!key) throw new Failure({ reason: "UNANSWERED" });
  return { key, secret };
}

/** The same form made the key, now or as it was filled in before, and the answer did not arrive. */
function lost(error: unknown): Lost {
  const known = error instanceof Failure && LOST.has(error.reason) ? error.metadata.key : undefined;
  if (!known) throw error;
  return { lost: known };
}

function useKeyChange<Given, Made>(
  mutationFn: (given: Given) => Promise<Made>,
  retry: (count: number, error: Error) => boolean = () => false,
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    retry,
    // A secret is in some of the answers: they go with the page that asked.
    gcTime: 0,
    // However it ended: a call that was not answered may have been done.
    onSettled: () => {
      void client.invalidateQueries({ queryKey: KEYS });
    },
  });
}
