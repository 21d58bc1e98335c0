import { useEffect, useRef, useState } from "preact/hooks";
import { Failure } from "../api/failure";
import type { Session } from "../api/schema";
import { Button } from "../parts/button";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { Password } from "../parts/password";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { CodeField } from "./code-field";
import { ProviderButton } from "./provider-button";
import { useSignIn } from "./session";
import { useWait } from "./wait";

interface Props {
  /** Whose session it was; empty: nobody's. */
  email?: string;
  onSignedIn: (session: Session) => void;
}

/** E-mail address and password, and a code where the API asks for one; or the own organisation. */
export function SignInForm({ email: known = "", onSignedIn }: Props) {
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [withCode, setWithCode] = useState(false);
  const signIn = useSignIn(onSignedIn);
  const wait = useWait(signIn.error);
  const codeField = useRef<HTMLDivElement>(null);

  useEffect(() => {
    if (withCode) codeField.current?.querySelector("input")?.focus();
  }, [withCode]);

  function submit(event: Event): void {
    event.preventDefault();
    signIn.mutate(
      { email, password, code },
      { onError: (error) => reasonOf(error) === "SECOND_FACTOR_REQUIRED" && setWithCode(true) },
    );
  }

  return (
    <>
      <form class="sign-in-form" onSubmit={submit}>
        <Input
          label={text.signIn.email}
          value={email}
          onValue={setEmail}
          input={{
            type: "email",
            autocomplete: "username",
            required: true,
            maxLength: 254,
            autoFocus: known === "",
          }}
        />
        <Password
          label={text.signIn.password}
          input={{ autocomplete: "current-password", autoFocus: known !== "" }}
          value={password}
          onValue={setPassword}
        />
        {withCode && (
          <div ref={codeField}>
            <CodeField value={code} onValue={setCode} />
          </div>
        )}
        <WhyNot error={signIn.error} withCode={withCode} />
        <Button type="submit" look="primary" busy={signIn.isPending} disabled={wait > 0}>
          {wait > 0 ? text.retryIn(wait) : text.signIn.signIn}
        </Button>
      </form>
      <ProviderButton leaves={known !== ""} />
    </>
  );
}

function WhyNot({ error, withCode }: { error: Error | null; withCode: boolean }) {
  switch (reasonOf(error)) {
    case "SIGN_IN_FAILED":
      return <Notice kind="bad">{withCode ? text.signIn.wrongWithCode : text.signIn.wrong}</Notice>;
    case "RATE_LIMITED":
      return <Notice kind="bad">{text.signIn.tooMany}</Notice>;
    case "SECOND_FACTOR_REQUIRED":
      return null;
    default:
      return <Refusal error={error} />;
  }
}

function reasonOf(error: Error | null): string {
  return error instanceof Failure ? error.reason : "";
}
