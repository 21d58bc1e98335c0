import { QueryClientProvider, useQueryClient } from "@tanstack/preact-query";
import { useState } from "preact/hooks";
import { Link, Redirect, Route, Router, Switch, useLocation } from "wouter-preact";
import { AccountPage } from "./account/account-page";
import { newQueryClient } from "./api/queries";
import type { Session } from "./api/schema";
import { AuditPage } from "./audit/audit-page";
import { KeysPlace } from "./keys/keys-place";
import { isOperationName } from "./operations/name";
import { OperationPlace } from "./operations/operation-place";
import { Answered } from "./parts/answered";
import { ServerPage } from "./servers/server-page";
import { ServersPage } from "./servers/servers-page";
import { useRestWhenLeftAlone } from "./session/left-alone";
import { type Back, takeBack } from "./session/oidc";
import { useSession, useSetSession, useWatchedSession } from "./session/session";
import { SignInAgain } from "./session/sign-in-again";
import { SignInPage } from "./session/sign-in-page";
import { Boundary } from "./shell/boundary";
import { usePlace } from "./shell/location";
import { Page } from "./shell/page";
import { Shell } from "./shell/shell";
import { text } from "./text";

/** As RFC 1123, 2.1 has them: whoever writes a link puts no other text on a page of ours. */
const HOSTNAME = /^[a-z0-9-]+(\.[a-z0-9-]+)*$/i;

export function App() {
  const [back] = useState(takeBack);
  const [ended, setEnded] = useState(false);
  const [client] = useState(() => newQueryClient(() => setEnded(true)));
  return (
    <QueryClientProvider client={client}>
      <Router hook={usePlace}>
        <Console back={back} ended={ended} onEnded={setEnded} />
      </Router>
    </QueryClientProvider>
  );
}

interface Props {
  /** What the browser came back with from the organisation's provider; null: it was not there. */
  back: Back | null;
  /** A call was refused because the session is no more. */
  ended: boolean;
  onEnded: (ended: boolean) => void;
}

function Console({ back, ended, onEnded }: Props) {
  const client = useQueryClient();
  const session = useSession();
  const setSession = useSetSession();
  const look = useWatchedSession(changed, () => onEnded(true));

  function changed(now: Session | null): void {
    setSession(now);
    onEnded(false);
    // What was refused meanwhile is asked again.
    if (now) void client.invalidateQueries();
  }

  if (session.data === undefined) {
    return (
      <main class="starting">
        <Answered query={session}>{() => null}</Answered>
      </main>
    );
  }
  if (session.data === null) return <SignInPage back={back} onSignedIn={changed} />;
  return (
    <>
      <SignedIn key={session.data.user?.id} session={session.data} onGone={look} />
      {ended && <SignInAgain email={session.data.user?.email ?? ""} onSignedIn={changed} />}
    </>
  );
}

function SignedIn({ session, onGone }: { session: Session; onGone: () => void }) {
  const [path] = useLocation();
  useRestWhenLeftAlone(session.idle_seconds, onGone);
  return (
    <Shell>
      <Boundary path={path}>
        <Pages />
      </Boundary>
    </Shell>
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
        {({ hostname }) =>
          HOSTNAME.test(hostname) ? (
            <ServerPage key={hostname} hostname={hostname} />
          ) : (
            <NoSuchPage />
          )
        }
      </Route>
      <Route path="/operations/:id">
        {({ id }) => <OperationOr404 name={`operations/${id}`} />}
      </Route>
      <Route path="/antispam/operations/:id">
        {({ id }) => <OperationOr404 name={`antispam/operations/${id}`} />}
      </Route>
      <Route path="/keys/*?" component={KeysPlace} />
      <Route path="/audit" component={AuditPage} />
      <Route path="/account" component={AccountPage} />
      <Route component={NoSuchPage} />
    </Switch>
  );
}

function OperationOr404({ name }: { name: string }) {
  return isOperationName(name) ? <OperationPlace name={name} /> : <NoSuchPage />;
}

function NoSuchPage() {
  return (
    <Page title={text.shell.notFound}>
      <Link href="/servers">{text.shell.home}</Link>
    </Page>
  );
}
