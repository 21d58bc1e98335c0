import { useEffect } from "preact/hooks";
import type { Session } from "../api/schema";
import { text } from "../text";
import { SignInForm } from "./sign-in-form";

/** For somebody who is not signed in. */
export function SignInPage({ onSignedIn }: { onSignedIn: (session: Session) => void }) {
  useEffect(() => {
    document.title = `${text.signIn.title} · ${text.shell.product}`;
  }, []);
  return (
    <main class="sign-in">
      <section class="card">
        <div class="brand">
          <img src="/console/icon.svg" alt="" width="36" height="36" />
          {text.shell.product}
        </div>
        <h1>{text.signIn.title}</h1>
        <p class="muted">{text.signIn.intro}</p>
        <SignInForm onSignedIn={onSignedIn} />
      </section>
    </main>
  );
}
