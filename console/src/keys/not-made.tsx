import { Failure } from "../api/failure";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";

interface Props {
  error: Error | null;
  /** What no field of the form says. */
  rest: Error | null;
}

/** That no key was made. That the session ended is said elsewhere, over the page. */
export function NotMade({ error, rest }: Props) {
  if (!error || (error instanceof Failure && error.httpStatus === 401)) return null;
  const unanswered = error instanceof Failure && error.reason === "UNANSWERED";
  return (
    <>
      {rest ? <Refusal error={rest} /> : <Notice kind="bad">{text.keys.seeFields}</Notice>}
      {unanswered && <Notice kind="warning">{text.keys.maybeMade}</Notice>}
    </>
  );
}
