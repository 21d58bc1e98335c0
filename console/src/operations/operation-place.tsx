import { Redirect } from "wouter-preact";
import { Answered } from "../parts/answered";
import { Page } from "../shell/page";
import { text } from "../text";
import { useOperation } from "./queries";

/** The way to an operation: it is shown on the page of its server. */
export function OperationPlace({ name }: { name: string }) {
  const query = useOperation(name);
  return (
    <Page title={text.operations.one}>
      <Answered query={query}>
        {({ metadata }) =>
          metadata && <Redirect to={`/servers/${metadata.server}?operation=${name}`} replace />
        }
      </Answered>
      {query.isError && <p class="muted">{text.operations.kept}</p>}
    </Page>
  );
}
