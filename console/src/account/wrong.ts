import { Failure } from "../api/failure";

/** What the API says is wrong with a field of the form; empty: nothing. */
export function wrongField(error: Error | null, field: string): string {
  if (!(error instanceof Failure)) return "";
  return error.fields.find((each) => each.field === field)?.description ?? "";
}

/** Whether what was shown to prove who one is was not right. */
export function isNotProven(error: Error | null): boolean {
  return error instanceof Failure && error.reason === "SIGN_IN_FAILED";
}

/** What is not told at a field. */
export function otherwise(error: Error | null): Error | null {
  const told = isNotProven(error) || (error instanceof Failure && error.fields.length > 0);
  return told ? null : error;
}
