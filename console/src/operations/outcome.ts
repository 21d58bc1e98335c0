import type { ErrorInfo, Operation, Status } from "../api/schema";
import { text } from "../text";

/** What came of an operation that succeeded, in words; empty: nothing to say. */
export function outcome({ response }: Operation): string {
  switch (response?.["@type"]) {
    case "type.googleapis.com/f2h.server_ops.v1.RebootServerResponse":
      return text.operations.rebooted(response.proof);
    case "type.googleapis.com/f2h.server_ops.v1.ChangePowerResponse":
      return text.operations.powered(response.power?.state, response.changed);
    case "type.googleapis.com/f2h.server_ops.v1.EnterRescueResponse":
      return text.operations.entered;
    case "type.googleapis.com/f2h.server_ops.v1.ExitRescueResponse":
      return text.operations.exited(response.proof);
    case "type.googleapis.com/f2h.server_ops.v1.StartInstallResponse":
      return text.operations.installedAs(response.template, response.proof);
    case "type.googleapis.com/f2h.server_ops.v1.MoveIpResponse":
      return text.operations.moved(response.ip, response.to);
    case "type.googleapis.com/f2h.security.v1.UnblockAntispamResponse":
      return text.operations.unblocked(response.ip);
    default:
      return "";
  }
}

/** The documented reason of an operation's error; empty: it has none. */
export function reasonOf(error: Status): string {
  const info = error.details?.find(
    (detail): detail is ErrorInfo => detail["@type"] === "type.googleapis.com/google.rpc.ErrorInfo",
  );
  return info?.reason ?? "";
}
