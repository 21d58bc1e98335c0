import { Redirect } from "wouter-preact";
import { Failure } from "../api/failure";
import { Answered } from "../parts/answered";
import { Page } from "../shell/page";
import { text } from "../text";
import { useOperation } from "./queries";

/** How the API answers of an operation that it does not have, or not any more. */
const GONE = new Set(["NOT_FOUND", "SERVER_NOT_GRANTED"]);

/** The way to an operation: it is shown on the page of its server. */
export function OperationPlace({ name }: { name: string }) {
  const query = useOperation(name);
  const gone = query.error instanceof Failure && GONE.has(query.error.reason);
  return (
    <Page title={text.operations.one}>
      <Answered query={query}>
        {({ metadata }) =>
          metadata && <Redirect to={`/servers/${metadata.server}?operation=${name}`} replace />
        }
      </Answered>
      {gone && <p class="muted">{text.operations.kept}</p>}
    </Page>
  );
}
