import { useEffect, useRef, useState } from "preact/hooks";
import { Link } from "wouter-preact";
import type { Operation, OperationMetadata } from "../api/schema";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { useMayChange } from "../session/session";
import { text } from "../text";
import { AskedFor } from "./asked-for";
import { CancelDialog } from "./cancel-dialog";
import { Duration } from "./duration";
import { OperationView } from "./operation-view";
import { useOperation } from "./queries";
import { StateBadge } from "./state-badge";

interface Props {
  /** As the API named it: "operations/…", or "antispam/operations/…". */
  name: string;
  /** The server that it is expected to be of: of another one's, only that is shown. */
  hostname?: string;
  /** Called once, when it has ended, however it ended. */
  onEnd?: (operation: Operation) => void;
}

/** An operation while it goes on, step by step, and how it ended. */
export function OperationProgress({ name, hostname, onEnd }: Props) {
  const query = useOperation(name);
  const operation = query.data;
  const told = useRef("");
  useEffect(() => {
    if (!operation?.done || told.current === name) return;
    told.current = name;
    onEnd?.(operation);
  }, [name, operation, onEnd]);
  return (
    <div class="operation">
      <Answered query={query}>
        {(known) =>
          known.metadata &&
          (hostname && known.metadata.server !== hostname ? (
            <Elsewhere name={name} server={known.metadata.server} />
          ) : (
            <Known operation={known} metadata={known.metadata} />
          ))
        }
      </Answered>
    </div>
  );
}

function Elsewhere({ name, server }: { name: string; server: string }) {
  return (
    <p>
      {text.operations.elsewhere}{" "}
      <Link href={`/servers/${server}?operation=${name}`}>{server}</Link>
    </p>
  );
}

function Known({ operation, metadata }: { operation: Operation; metadata: OperationMetadata }) {
  const [cancelling, setCancelling] = useState(false);
  const mayCancel = useMayChange() && isCancellable(operation, metadata);
  const kind = text.operations.kind[metadata.kind];
  return (
    <>
      <div class="operation-head">
        <b>{kind}</b>
        <StateBadge state={metadata.state} />
        {metadata.create_time && (
          <span class="small muted">
            <Duration from={metadata.create_time} to={metadata.end_time} />
          </span>
        )}
        <span class="small muted">
          <AskedFor metadata={metadata} />
        </span>
        {mayCancel && (
          <Button look="quiet" onClick={() => setCancelling(true)}>
            {text.operations.cancel}
          </Button>
        )}
      </div>
      <p class="offscreen" role="status">
        {text.operations.announced(kind, stands(metadata))}
      </p>
      <OperationView operation={operation} />
      {cancelling && (
        <CancelDialog
          name={operation.name}
          kind={kind}
          server={metadata.server}
          onClose={() => setCancelling(false)}
        />
      )}
    </>
  );
}

/** Where it stands: the step that is under way, or its state. */
function stands({ steps, state }: OperationMetadata): string {
  return steps.find((step) => step.state === "DOING")?.name ?? text.operations.state[state];
}

/** The step, from 0, that changes something first; of others it is the second one. */
const FIRST_COMMAND: Partial<Record<OperationMetadata["kind"], number>> = {
  RESCUE_ENTER: 3,
  RESCUE_EXIT: 2,
  INSTALL: 3,
};

/** Whether cancelling may still work: the API knows, and refuses it when it does not. */
function isCancellable({ name, done }: Operation, { kind, steps }: OperationMetadata): boolean {
  if (done || kind === "ANTISPAM_UNBLOCK" || !name.startsWith("operations/")) return false;
  return steps[FIRST_COMMAND[kind] ?? 1]?.state === "TODO";
}
