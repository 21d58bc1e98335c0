import { useEffect, useState } from "preact/hooks";
import type { Session } from "../api/schema";
import { text } from "../text";
import { FromProvider } from "./from-provider";
import type { Back } from "./oidc";
import { SignInForm } from "./sign-in-form";

interface Props {
  /** What the browser came back with from the organisation's provider; null: it was not there. */
  back: Back | null;
  onSignedIn: (session: Session) => void;
}

/** For somebody who is not signed in. */
export function SignInPage({ back, onSignedIn }: Props) {
  const [finishing, setFinishing] = useState(back !== null && "form" in back);
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
        {back && (
          <FromProvider back={back} onSignedIn={onSignedIn} onFailed={() => setFinishing(false)} />
        )}
        {!finishing && (
          <>
            <p class="muted">{text.signIn.intro}</p>
            <SignInForm onSignedIn={onSignedIn} />
          </>
        )}
      </section>
    </main>
  );
}
