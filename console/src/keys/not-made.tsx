import { Failure } from "../api/failure";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";

interface Props {
  error: Error | null;
  /** What no field of the form says. */
  rest: Error | null;
  /** Whether a key may have been made. */
  unsure: boolean;
}

/** That no key was made, or that this is not known. That the session ended is said over the page. */
export function NotMade({ error, rest, unsure }: Props) {
  const shown = !(error instanceof Failure && error.httpStatus === 401);
  return (
    <>
      {shown && <Refusal error={rest} />}
      {shown && error && !rest && <Notice kind="bad">{text.keys.seeFields(unsure)}</Notice>}
      {unsure && <Notice kind="warning">{text.keys.maybeMade}</Notice>}
    </>
  );
}
