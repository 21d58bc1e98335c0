import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { allPages } from "../api/pages";
import type {
  ApiKey,
  CapabilityInfo,
  CreateKeyRequest,
  RotateKeyRequest,
  UpdateKeyRequest,
} from "../api/schema";

const KEYS = ["keys"] as const;
const LARGEST_PAGE = 1000;

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

/** The catalogue, in the order of the form. */
export function useCapabilities() {
  return useQuery({
    queryKey: ["capabilities"],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }): Promise<CapabilityInfo[]> =>
      (await answer(api.GET("/capabilities", { signal }))).capabilities,
  });
}

/** Makes a key. */
export function useCreateKey() {
  return useKeyChange((form: CreateKeyRequest) => answer(api.POST("/keys", { body: form })));
}

/** Makes the key that takes another's place. */
export function useRotateKey(id: string) {
  const params = { path: { id } };
  return useKeyChange((body: RotateKeyRequest) =>
    answer(api.POST("/keys/{id}/rotate", { params, body })),
  );
}

/** Revokes a key. */
export function useRevokeKey(id: string) {
  const params = { path: { id } };
  return useKeyChange(() => answer(api.DELETE("/keys/{id}", { params })));
}

/** Changes a key's label and networks. */
export function useUpdateKey(id: string) {
  const params = { path: { id } };
  return useKeyChange((body: UpdateKeyRequest) =>
    answer(api.PATCH("/keys/{id}", { params, body })),
  );
}

function useKeyChange<Given, Made>(mutationFn: (given: Given) => Promise<Made>) {
  const client = useQueryClient();
  return useMutation({
    mutationFn,
    // A secret is in some of the answers: they go with the page that asked.
    gcTime: 0,
    // However it ended: a call that was not answered may have been done.
    onSettled: () => {
      void client.invalidateQueries({ queryKey: KEYS });
    },
  });
}
