import { Link } from "wouter-preact";
import { Failure } from "../api/failure";
import { text } from "../text";
import { useOperationKind } from "./queries";

interface Props {
  /** Why a call was refused. */
  error: Error | null;
  /** Called when its link is followed. */
  onShow: (operation: string) => void;
}

/** Of a refusal that names an operation: what that is, and the way to it. */
export function Holder({ error, onShow }: Props) {
  const { operation, server } = error instanceof Failure ? error.metadata : {};
  if (!(error instanceof Failure) || !operation?.startsWith("operations/")) return null;
  return (
    <p>
      {error.reason === "REQUEST_ID_REUSED" ? text.operations.sameRequest : text.operations.holder}{" "}
      <Kind name={operation} />{" "}
      {server && (
        <Link href={`/servers/${server}`} onClick={() => onShow(operation)}>
          {text.operations.show}
        </Link>
      )}
    </p>
  );
}

function Kind({ name }: { name: string }) {
  const kind = useOperationKind(name).data ?? "KIND_UNSPECIFIED";
  return <b>{text.operations.kind[kind]}</b>;
}
