import type { Operation } from "../api/schema";
import { Notice } from "../parts/notice";
import { text } from "../text";
import { outcome, reasonOf } from "./outcome";
import { Steps } from "./steps";

/** An operation as it is known: its steps, and how it ended. */
export function OperationView({ operation }: { operation: Operation }) {
  return (
    <>
      <Steps steps={operation.metadata?.steps ?? []} />
      <End operation={operation} />
    </>
  );
}

function End({ operation }: { operation: Operation }) {
  const { metadata, error } = operation;
  if (!operation.done || !metadata) return null;
  if (metadata.state === "CANCELLED") {
    return <Notice kind="info">{text.operations.cancelled}</Notice>;
  }
  if (!error) {
    const came = outcome(operation);
    return came ? <Notice kind="good">{came}</Notice> : null;
  }
  return (
    <Notice kind="bad">
      <p>{error.message || text.operations.failed}</p>
      {text.operations.fault[metadata.fault] && <p>{text.operations.fault[metadata.fault]}</p>}
      <p class="small">{reasonOf(error)}</p>
    </Notice>
  );
}
