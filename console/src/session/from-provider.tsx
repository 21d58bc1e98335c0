import { useEffect } from "preact/hooks";
import { Failure } from "../api/failure";
import type { LoginWithOidcRequest, Session } from "../api/schema";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { type Back, useSignInFromProvider } from "./oidc";

interface Props {
  back: Back;
  onSignedIn: (session: Session) => void;
  /** It did not work: one may sign in in another way. */
  onFailed: () => void;
}

/** For somebody who comes back from the provider: signs in, or says why not. */
export function FromProvider({ back, onSignedIn, onFailed }: Props) {
  if ("form" in back) {
    return <Finishing form={back.form} onSignedIn={onSignedIn} onFailed={onFailed} />;
  }
  // The provider's own text is not shown: whoever makes a link to this page could write it.
  const why =
    "refused" in back ? text.signIn.refusedBecause(back.refused) : text.signIn.attemptLost;
  return <Notice kind="bad">{why}</Notice>;
}

function Finishing({
  form,
  onSignedIn,
  onFailed,
}: Omit<Props, "back"> & { form: LoginWithOidcRequest }) {
  const signIn = useSignInFromProvider(onSignedIn);
  useEffect(() => {
    signIn.mutate(form, { onError: onFailed });
  }, []);
  if (signIn.error instanceof Failure && signIn.error.reason === "SIGN_IN_FAILED") {
    return <Notice kind="bad">{text.signIn.notKnown}</Notice>;
  }
  if (signIn.error) return <Refusal error={signIn.error} />;
  return (
    <p class="waiting" role="status">
      <span class="spinner" aria-hidden="true" /> {text.signIn.finishing}
    </p>
  );
}
