import { QueryClientProvider, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, Redirect, Route, Router, Switch } from "wouter-preact";
import { useHashLocation } from "wouter-preact/use-hash-location";
import { AccountPage } from "./account/account-page";
import { newQueryClient } from "./api/queries";
import type { Session } from "./api/schema";
import { AuditPage } from "./audit/audit-page";
import { KeysPlace } from "./keys/keys-place";
import { Answered } from "./parts/answered";
import { ServerPage } from "./servers/server-page";
import { ServersPage } from "./servers/servers-page";
import { useSession, useSetSession } from "./session/session";
import { SignInAgain } from "./session/sign-in-again";
import { SignInPage } from "./session/sign-in-page";
import { Page } from "./shell/page";
import { Shell } from "./shell/shell";
import { text } from "./text";

export function App() {
  const [ended, setEnded] = useState(false);
  const [client] = useState(() => newQueryClient(() => setEnded(true)));
  return (
    <QueryClientProvider client={client}>
      <Router hook={useHashLocation}>
        <Console ended={ended} onSignedIn={() => setEnded(false)} />
      </Router>
    </QueryClientProvider>
  );
}

interface Props {
  /** A call was refused because the session is no more. */
  ended: boolean;
  onSignedIn: () => void;
}

function Console({ ended, onSignedIn }: Props) {
  const client = useQueryClient();
  const session = useSession();
  const setSession = useSetSession();

  function signedIn(fresh: Session): void {
    setSession(fresh);
    onSignedIn();
    void client.invalidateQueries();
  }

  return (
    <Answered query={session}>
      {(known) =>
        known ? (
          <>
            <Shell>
              <Pages key={known.user?.id} />
            </Shell>
            {ended && <SignInAgain email={known.user?.email ?? ""} onSignedIn={signedIn} />}
          </>
        ) : (
          <SignInPage onSignedIn={signedIn} />
        )
      }
    </Answered>
  );
}

function Pages() {
  return (
    <Switch>
      <Route path="/">
        <Redirect to="/servers" replace />
      </Route>
      <Route path="/servers" component={ServersPage} />
      <Route path="/servers/:hostname">
        {({ hostname }) => <ServerPage key={hostname} hostname={hostname} />}
      </Route>
      <Route path="/keys/*?" component={KeysPlace} />
      <Route path="/audit" component={AuditPage} />
      <Route path="/account" component={AccountPage} />
      <Route>
        <Page title={text.shell.notFound}>
          <Link href="/servers">{text.shell.home}</Link>
        </Page>
      </Route>
    </Switch>
  );
}
