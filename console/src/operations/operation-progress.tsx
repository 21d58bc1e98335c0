import type { Operation } from "../api/schema";

interface Props {
  /** As the API named it: "operations/…", or "antispam/operations/…". */
  name: string;
  /** Called once, when it has ended, however it ended. */
  onEnd?: (operation: Operation) => void;
}

/** An operation while it goes on, step by step, and how it ended. */
export function OperationProgress({ name }: Props) {
  return <p>{name}</p>;
}
