import type { BadRequestFieldViolation } from "./schema";

/** A name of f2h.access.v1.Reason (docs/errors.md), or UNANSWERED: nothing of the API answered. */
export type Reason = string;

/** Why a call was not answered as asked. `message` is the API's own text, empty when UNANSWERED. */
export class Failure extends Error {
  reason: Reason;
  httpStatus: number;
  metadata: Record<string, string> = {};
  /** Which fields of the request were wrong, and why. */
  fields: BadRequestFieldViolation[] = [];
  /** After how many seconds to ask again; 0: not said. */
  retrySeconds = 0;
  /** The id that the provider's logs have it under; empty: none. */
  requestId = "";

  constructor(said: { reason: Reason; httpStatus?: number; message?: string }) {
    super(said.message ?? "");
    this.reason = said.reason;
    this.httpStatus = said.httpStatus ?? 0;
  }

  /** Whether it is no fault: the provider does not offer it here. */
  get notOffered(): boolean {
    return this.reason === "NOT_SET_UP" || this.reason === "NOT_IMPLEMENTED";
  }

  /** Whether it is known that nothing was done: the API looked at the call, and said no. */
  get refused(): boolean {
    return this.httpStatus >= 400 && this.httpStatus < 500;
  }

  /** Whether the same call may be answered in a moment. */
  get passing(): boolean {
    return this.httpStatus === 0 || this.httpStatus === 429 || this.httpStatus >= 502;
  }
}
