import type { Session } from "../api/schema";
import { Dialog } from "../parts/dialog";
import { text } from "../text";
import { SignInForm } from "./sign-in-form";

interface Props {
  email: string;
  onSignedIn: (session: Session) => void;
}

/** Over whatever page one was on when the session ended: nothing of it is lost, or to be seen. */
export function SignInAgain({ email, onSignedIn }: Props) {
  return (
    <Dialog title={text.signIn.ended} covers>
      <p>{text.signIn.endedHint}</p>
      <SignInForm email={email} onSignedIn={onSignedIn} />
    </Dialog>
  );
}
