/** Who is signed in. The session itself is a cookie that no script can read. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import { Failure } from "../api/failure";
import type { LoginRequest, Session } from "../api/schema";

const SESSION = ["session"] as const;

/** The session; null: nobody is signed in. */
export function useSession() {
  return useQuery({
    queryKey: SESSION,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: async ({ signal }): Promise<Session | null> => {
      try {
        return await answer(api.GET("/auth/me", { signal }));
      } catch (error) {
        if (error instanceof Failure && error.httpStatus === 401) return null;
        throw error;
      }
    },
  });
}

/** Signs in with a password. Fails with SIGN_IN_FAILED or SECOND_FACTOR_REQUIRED. */
export function useSignIn(onSignedIn: (session: Session) => void) {
  return useMutation({
    mutationFn: (form: LoginRequest) => answer(api.POST("/auth/login", { body: form })),
    onSuccess: onSignedIn,
  });
}

/** Sets who is signed in; of somebody else nothing stays on the page. */
export function useSetSession() {
  const client = useQueryClient();
  return (session: Session | null) => {
    const before = client.getQueryData<Session | null>(SESSION);
    if (before?.user?.id !== session?.user?.id) {
      client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
      client.getMutationCache().clear();
    }
    client.setQueryData(SESSION, session);
  };
}

/** Signs out. */
export function useSignOut() {
  const setSession = useSetSession();
  return useMutation({
    mutationFn: () => answer(api.POST("/auth/logout", { body: {} })),
    onSuccess: () => setSession(null),
  });
}

/** Whether who is signed in may change what belongs to the account: READ_ONLY people look. */
export function useMayChange(): boolean {
  const role = useSession().data?.user?.role;
  return role === "MEMBER" || role === "OWNER";
}
