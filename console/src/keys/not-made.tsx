import { Failure } from "../api/failure";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";

interface Props {
  error: Error | null;
  /** What no field of the form says. */
  rest: Error | null;
}

/** That no key was made, or that this is not known. That the session ended is said over the page. */
export function NotMade({ error, rest }: Props) {
  if (!error || (error instanceof Failure && error.httpStatus === 401)) return null;
  const lost = error instanceof Failure && !error.refused;
  return (
    <>
      {rest ? <Refusal error={rest} /> : <Notice kind="bad">{text.keys.seeFields}</Notice>}
      {lost && <Notice kind="warning">{text.keys.maybeMade}</Notice>}
    </>
  );
}
