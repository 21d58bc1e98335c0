import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import { text } from "../text";
import { ActionDialog, type ActionProps } from "./action-dialog";
import { holdsPrivateKey, keysIn, SshKeysField } from "./ssh-keys";

/** Asks before a server is booted into the rescue system, and who may log in there. */
export function EnterRescueDialog(action: ActionProps) {
  const [keys, setKeys] = useState("");
  const body = { ssh_keys: keysIn(keys) };
  return (
    <ActionDialog
      {...action}
      title={text.servers.enterRescueQuestion(action.hostname)}
      action={text.servers.enterRescue}
      ready={!holdsPrivateKey(keys)}
      send={(init) => answer(api.POST("/servers/{hostname}/rescue/enter", { ...init, body }))}
    >
      <p>{text.servers.enterRescueLoses(action.hostname)}</p>
      <SshKeysField hint={text.servers.rescueKeysHint} value={keys} onValue={setKeys} />
    </ActionDialog>
  );
}

/** Asks before a server leaves the rescue system. */
export function ExitRescueDialog(action: ActionProps) {
  return (
    <ActionDialog
      {...action}
      title={text.servers.exitRescueQuestion(action.hostname)}
      action={text.servers.exitRescue}
      send={(init) => answer(api.POST("/servers/{hostname}/rescue/exit", { ...init, body: {} }))}
    >
      <p>{text.servers.exitRescueLoses(action.hostname)}</p>
    </ActionDialog>
  );
}
