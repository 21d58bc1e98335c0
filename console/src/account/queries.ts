import { useMutation, useQueryClient } from "@tanstack/preact-query";
import { answer, api } from "../api/client";
import type {
  ChangePasswordRequest,
  ConfirmSecondFactorRequest,
  RemoveSecondFactorRequest,
} from "../api/schema";
import { SESSION } from "../session/session";

/** Changes the own password, and ends all other sessions. Fails with SIGN_IN_FAILED. */
export function useChangePassword() {
  return useMutation({
    mutationFn: (form: ChangePasswordRequest) => answer(api.POST("/auth/password", { body: form })),
  });
}

/** Makes a secret for an authenticator. Fails with SIGN_IN_FAILED and ALREADY_EXISTS. */
export function useBeginSecondFactor() {
  return useMutation({
    mutationFn: (password: string) =>
      answer(api.POST("/auth/second_factor", { body: { password } })),
    // The secret is kept for no longer than it is shown.
    gcTime: 0,
  });
}

/** Asks for codes from now on; answers the recovery codes. A wrong code: INVALID_REQUEST. */
export function useConfirmSecondFactor() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (form: ConfirmSecondFactorRequest) =>
      answer(api.POST("/auth/second_factor/confirm", { body: form })),
    onSuccess: () => client.invalidateQueries({ queryKey: SESSION }),
    gcTime: 0,
  });
}

/** Asks for no codes from now on. Fails with SIGN_IN_FAILED and NOT_SET_UP. */
export function useRemoveSecondFactor() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (form: RemoveSecondFactorRequest) =>
      answer(api.POST("/auth/second_factor/remove", { body: form })),
    onSuccess: () => client.invalidateQueries({ queryKey: SESSION }),
  });
}
