import { useEffect, useState } from "preact/hooks";
import { Redirect, Route, Switch, useLocation } from "wouter-preact";
import { KeyFormPage } from "./key-form-page";
import { KeysPage } from "./keys-page";
import type { Lost } from "./queries";
import { SecretLostPage } from "./secret-lost-page";
import { type Made, SecretPage } from "./secret-page";

const CREATED = "/keys/created";

/**
 * The pages about keys.
 *
 * A secret is kept here and nowhere else: not in the address, the history or a storage. It is gone
 * as soon as its page is left, however that happens.
 */
export function KeysPlace() {
  const [location, navigate] = useLocation();
  const [made, setMade] = useState<Made | Lost | null>(null);

  useEffect(() => {
    if (location !== CREATED) setMade(null);
  }, [location]);

  function show(fresh: Made | Lost, options?: { replace: boolean }): void {
    setMade(fresh);
    navigate(CREATED, options);
  }

  const showInstead = (fresh: Made | Lost) => show(fresh, { replace: true });

  return (
    <Switch>
      <Route path="/keys">
        <KeysPage onMade={show} />
      </Route>
      <Route path="/keys/new">
        <KeyFormPage onMade={showInstead} />
      </Route>
      <Route path={CREATED}>
        {made === null && <Redirect to="/keys" replace />}
        {made && "secret" in made && <SecretPage made={made} />}
        {made && "lost" in made && (
          // The answer to its own rotation may be lost as well: another key, and nothing asked yet.
          <SecretLostPage key={made.lost} id={made.lost} onMade={showInstead} />
        )}
      </Route>
      <Route>
        <Redirect to="/keys" replace />
      </Route>
    </Switch>
  );
}
