/** Who is signed in. The session itself is a cookie that no script can read. */

import { type QueryClient, useMutation, useQuery, useQueryClient } from "@tanstack/preact-query";
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
    queryFn: async ({ signal, client }) => {
      const now = await askWho(signal);
      forgetOthers(client, now);
      return now;
    },
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
    forgetOthers(client, session);
    client.setQueryData(SESSION, session);
  };
}

function forgetOthers(client: QueryClient, session: Session | null): void {
  if (known(client)?.user?.id === session?.user?.id) return;
  client.removeQueries({ predicate: ({ queryKey }) => queryKey[0] !== SESSION[0] });
  client.getMutationCache().clear();
}

/** Who is signed in, as far as this page knows. */
function known(client: QueryClient): Session | null | undefined {
  return client.getQueryData<Session | null>(SESSION);
}

/**
 * Notices what became of the session elsewhere: another tab tells of it, and whoever comes back to this
 * one may have signed in as somebody else where nobody tells, as at /docs.
 *
 * `onChanged` is called with who is signed in now, `onEnded` when it was found that nobody is any more.
 * Returns how to look now.
 */
export function useWatchedSession(
  onChanged: (session: Session | null) => void,
  onEnded: () => void,
): () => void {
  const client = useQueryClient();

  async function look(told: boolean): Promise<void> {
    const before = known(client);
    const now = await client.fetchQuery({
      // Under the session, which stays when what somebody else was answered is forgotten.
      queryKey: [...SESSION, "who"],
      queryFn: ({ signal }) => askWho(signal),
      staleTime: 0,
      gcTime: 0,
      retry: true,
    });
    // It was changed here while it was asked.
    if (known(client) !== before) return look(told);
    if (told || (now && now.user?.id !== before?.user?.id)) onChanged(now);
    else if (before && !now) onEnded();
  }

  useEffect(() => {
    const back = () => {
      if (document.visibilityState === "visible") void look(false);
    };
    const stop = onOtherTabs(() => void look(true));
    addEventListener("focus", back);
    document.addEventListener("visibilitychange", back);
    return () => {
      stop();
      removeEventListener("focus", back);
      document.removeEventListener("visibilitychange", back);
    };
  });
  return () => void look(false);
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
