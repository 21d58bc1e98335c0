/** Who is signed in. The session itself is a cookie that no script can read. */

import { useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
import { useEffect } from "preact/hooks";
import { answer, api } from "../api/client";
import { Failure } from "../api/failure";
import type { LoginRequest, Session } from "../api/schema";
import { onOtherTabs, tellOtherTabs } from "./other-tabs";

export const SESSION = ["session"] as const;

/** The session; null: nobody is signed in. */
export function useSession() {
  return useQuery({
    queryKey: SESSION,
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => askWho(signal),
  });
}

/** Signs in with a password. Fails with SIGN_IN_FAILED, SECOND_FACTOR_REQUIRED or RATE_LIMITED. */
export function useSignIn(onSignedIn: (session: Session) => void) {
  return useMutation({
    mutationFn: (form: LoginRequest) => answer(api.POST("/auth/login", { body: form })),
    onSuccess: (session) => {
      tellOtherTabs();
      onSignedIn(session);
    },
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

/** Calls back with who is signed in whenever that was changed in another tab. */
export function useOtherTabs(onChanged: (session: Session | null) => void): void {
  useEffect(() =>
    onOtherTabs(() => {
      // When it cannot be asked now, the next call of this tab tells.
      void askWho().then(onChanged, () => {});
    }),
  );
}

/** Signs out; `everywhere` ends every session of this person. */
export function useSignOut() {
  const setSession = useSetSession();
  return useMutation({
    mutationFn: async (everywhere: boolean) => {
      try {
        await answer(api.POST("/auth/logout", { body: { everywhere } }));
      } catch (error) {
        // The session had ended before: that is what was wanted.
        if (!isNobody(error)) throw error;
      }
    },
    onSuccess: () => {
      setSession(null);
      tellOtherTabs();
    },
  });
}

/** Whether who is signed in may change what belongs to the account: READ_ONLY people look. */
export function useMayChange(): boolean {
  const role = useSession().data?.user?.role;
  return role === "MEMBER" || role === "OWNER";
}

async function askWho(signal?: AbortSignal): Promise<Session | null> {
  try {
    return await answer(api.GET("/auth/me", signal ? { signal } : {}));
  } catch (error) {
    if (isNobody(error)) return null;
    throw error;
  }
}

function isNobody(error: unknown): boolean {
  return error instanceof Failure && error.httpStatus === 401;
}
