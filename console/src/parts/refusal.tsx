import { Failure } from "../api/failure";
import { text } from "../text";
import { Notice } from "./notice";

/** Why a call was not answered as asked, with what the provider needs to find it. */
export function Refusal({ error }: { error: Error | null }) {
  if (!error) return null;
  const failure = error instanceof Failure ? error : null;
  const message = failure?.message || (failure ? text.unanswered : text.broken);
  return (
    <Notice kind={failure?.notOffered ? "info" : "bad"}>
      <p>{message}</p>
      {failure && failure.fields.length > 0 && (
        <ul>
          {failure.fields.map(({ field, description }) => (
            <li key={field + description}>
              <b>{field}</b> {description}
            </li>
          ))}
        </ul>
      )}
      {failure && failure.retrySeconds > 0 && <p>{text.retryIn(failure.retrySeconds)}</p>}
      {failure?.requestId && (
        <p class="small">
          {failure.reason} · {text.requestId} <code>{failure.requestId}</code>
        </p>
      )}
    </Notice>
  );
}
