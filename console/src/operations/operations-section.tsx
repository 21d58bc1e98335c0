import { useState } from "preact/hooks";
import type { Operation } from "../api/schema";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { Section } from "../parts/section";
import { text } from "../text";
import { AskedFor } from "./asked-for";
import { Duration } from "./duration";
import { OperationProgress } from "./operation-progress";
import { OperationView } from "./operation-view";
import { useOperations } from "./queries";
import { StateBadge } from "./state-badge";

/** What was asked for of a server, each to unfold. */
export function OperationsSection({ hostname }: { hostname: string }) {
  const query = useOperations(hostname);
  return (
    <Section title={text.operations.title}>
      <Answered query={query}>
        {({ pages }) => {
          const all = pages.flatMap((page) => page.operations);
          return (
            <>
              <p class="small muted">
                {all.length > 0 ? text.operations.intro : text.operations.none}
              </p>
              <div class="folds">
                {all.map((operation) => (
                  <Fold key={operation.name} operation={operation} />
                ))}
              </div>
              {query.hasNextPage && (
                <Button busy={query.isFetchingNextPage} onClick={() => query.fetchNextPage()}>
                  {text.operations.more}
                </Button>
              )}
            </>
          );
        }}
      </Answered>
    </Section>
  );
}

function Fold({ operation }: { operation: Operation }) {
  const [open, setOpen] = useState(false);
  const { metadata } = operation;
  if (!metadata) return null;
  return (
    <details class="fold" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <b>{text.operations.kind[metadata.kind]}</b>
        <StateBadge state={metadata.state} />
        <span class="small muted">
          <AskedFor metadata={metadata} />
          {metadata.create_time && metadata.end_time && (
            <>
              {" · "}
              {text.operations.took} <Duration from={metadata.create_time} to={metadata.end_time} />
            </>
          )}
        </span>
      </summary>
      {open &&
        (operation.done ? (
          <OperationView operation={operation} />
        ) : (
          <OperationProgress name={operation.name} />
        ))}
    </details>
  );
}
