/** The public REST API, typed by its own OpenAPI document. The session's cookie goes with every call. */

import createClient from "openapi-fetch";
import { Failure, type Reason } from "./failure";
import type { paths, Status } from "./schema";

const LONGEST_WAIT_MS = 60_000;

export const api = createClient<paths>({
  baseUrl: "/api",
  // An account's data are kept by no cache.
  cache: "no-store",
  fetch: (request) => fetch(request, { signal: limited(request.signal) }),
});

/**
 * What a call answered.
 *
 * Throws Failure: the API refused it, or did not answer.
 */
export async function answer<Data>(
  call: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await call.catch(unanswered);
  if (!response.ok) throw refused(error, response);
  return data as Data;
}

/** A new Idempotency-Key: a call that is sent again with the same one is done once. */
export function newRequestId(): string {
  // crypto.randomUUID is there on https alone.
  return [...crypto.getRandomValues(new Uint8Array(16))]
    .map((byte) => byte.toString(16).padStart(2, "0"))
    .join("");
}

function limited(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(LONGEST_WAIT_MS)]);
}

function unanswered(cause: unknown): never {
  if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
  throw new Failure({ reason: "UNANSWERED" });
}

function refused(error: unknown, response: Response): Failure {
  if (!isStatus(error)) return new Failure({ reason: "UNANSWERED", httpStatus: response.status });
  const failure = new Failure({
    reason: "INTERNAL",
    httpStatus: response.status,
    message: error.message,
  });
  for (const detail of error.details) {
    switch (detail["@type"]) {
      case "type.googleapis.com/google.rpc.ErrorInfo":
        failure.reason = detail.reason as Reason;
        failure.metadata = detail.metadata ?? {};
        break;
      case "type.googleapis.com/google.rpc.BadRequest":
        failure.fields = detail.field_violations ?? [];
        break;
      case "type.googleapis.com/google.rpc.RetryInfo":
        failure.retrySeconds = Number.parseFloat(detail.retry_delay ?? "0");
        break;
      case "type.googleapis.com/google.rpc.RequestInfo":
        failure.requestId = detail.request_id ?? "";
        break;
    }
  }
  return failure;
}

function isStatus(error: unknown): error is Status {
  return typeof error === "object" && error !== null && "details" in error && "message" in error;
}
