import { useState } from "preact/hooks";
import { Failure } from "../api/failure";
import type { Session } from "../api/schema";
import { Button } from "../parts/button";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { useSignIn } from "./session";

interface Props {
  email?: string;
  onSignedIn: (session: Session) => void;
}

/** E-mail address and password, and a code where the API asks for one. */
export function SignInForm({ email: known = "", onSignedIn }: Props) {
  const [email, setEmail] = useState(known);
  const [password, setPassword] = useState("");
  const [code, setCode] = useState("");
  const [withCode, setWithCode] = useState(false);
  const signIn = useSignIn(onSignedIn);
  const reason = signIn.error instanceof Failure ? signIn.error.reason : "";

  function submit(event: Event): void {
    event.preventDefault();
    signIn.mutate(
      { email, password, code },
      {
        onError: (error) => {
          if (error instanceof Failure && error.reason === "SECOND_FACTOR_REQUIRED") {
            setWithCode(true);
          }
        },
      },
    );
  }

  return (
    <form class="sign-in-form" onSubmit={submit}>
      <Input
        label={text.signIn.email}
        value={email}
        onValue={setEmail}
        input={{ type: "email", autocomplete: "username", required: true, maxLength: 254 }}
      />
      <Input
        label={text.signIn.password}
        value={password}
        onValue={setPassword}
        input={{
          type: "password",
          autocomplete: "current-password",
          required: true,
          maxLength: 256,
          autoFocus: known !== "",
        }}
      />
      {withCode && (
        <Input
          label={text.signIn.code}
          hint={text.signIn.codeHint}
          value={code}
          onValue={setCode}
          input={{
            autocomplete: "one-time-code",
            inputMode: "text",
            required: true,
            maxLength: 32,
            autoFocus: true,
          }}
        />
      )}
      {reason === "SIGN_IN_FAILED" ? (
        <Notice kind="bad">{text.signIn.wrong}</Notice>
      ) : (
        reason !== "SECOND_FACTOR_REQUIRED" && <Refusal error={signIn.error} />
      )}
      <Button type="submit" look="primary" busy={signIn.isPending}>
        {text.signIn.signIn}
      </Button>
    </form>
  );
}
