import { Failure } from "../api/failure";

/** Whether what was shown to prove who one is was not right: the password, or a code. */
export function isNotProven(error: Error | null): boolean {
  return error instanceof Failure && error.reason === "SIGN_IN_FAILED";
}
