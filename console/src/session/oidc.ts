/** Signing in with the OpenID Connect provider of an organisation: there, and back. */

import { useMutation, useQuery } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import type { LoginWithOidcRequest, Session } from "../api/schema";
import { tellOtherTabs } from "./other-tabs";

/** Under which the tab keeps what it began, until it comes back: sealed by the API, and good once. */
const KEPT = "oidc";

interface Begun {
  attempt: string;
  /** The page that one wanted, as the fragment of the address. */
  wanted: string;
}

/** What the provider sent the browser back with. `refused`: why not, a code of RFC 6749, 4.1.2.1. */
export type Back = { form: LoginWithOidcRequest } | { refused: string } | { lost: true };

/** Whether the API knows the provider of an organisation. */
export function useProviderKnown(): boolean {
  const options = useQuery({
    queryKey: ["sign-in-options"],
    staleTime: Number.POSITIVE_INFINITY,
    queryFn: ({ signal }) => answer(api.GET("/auth/options", { signal })),
  });
  return options.data?.oidc ?? false;
}

/** Sends the browser to the provider. Fails with NOT_SET_UP. */
export function useLeaveForProvider() {
  return useMutation({
    mutationFn: async () => {
      const { attempt, authorization_url } = await answer(api.POST("/auth/oidc/begin"));
      const begun: Begun = { attempt, wanted: location.hash };
      sessionStorage.setItem(KEPT, JSON.stringify(begun));
      location.assign(authorization_url);
    },
  });
}

/**
 * What the browser came back with; null: it did not come from there. Read once, before anything else
 * of the page: it stays neither in the address nor in the history, nor in the tab.
 */
export function takeBack(): Back | null {
  const told = new URLSearchParams(location.search);
  const begun = taken();
  const code = told.get("code");
  const state = told.get("state");
  const refused = told.get("error");
  if (refused === null && (code === null || state === null)) return null;
  history.replaceState(null, "", location.pathname + (begun?.wanted ?? location.hash));
  if (refused !== null) return { refused };
  if (!begun || !code || !state) return { lost: true };
  return { form: { attempt: begun.attempt, code, state } };
}

/** Signs in with what the provider sent back. Fails with SIGN_IN_FAILED. */
export function useSignInFromProvider(onSignedIn: (session: Session) => void) {
  return useMutation({
    mutationFn: (form: LoginWithOidcRequest) =>
      answer(api.POST("/auth/oidc/login", { body: form })),
    onSuccess: (session) => {
      tellOtherTabs();
      onSignedIn(session);
    },
  });
}

function taken(): Begun | null {
  const kept = sessionStorage.getItem(KEPT);
  sessionStorage.removeItem(KEPT);
  return kept === null ? null : JSON.parse(kept);
}
