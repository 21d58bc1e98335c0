import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import type { ChangePowerRequest } from "../api/schema";
import { text } from "../text";
import { ActionDialog, type ActionProps } from "./action-dialog";
import { Choices } from "./choices";
import { DEFAULT_WAIT, isWait, WaitField } from "./wait-field";

type Action = ChangePowerRequest["action"];
const ACTIONS: Action[] = ["ON", "SOFT_OFF", "OFF", "CYCLE"];

/** Asks before a server is switched on or off, and how. */
export function PowerDialog(props: ActionProps) {
  const [action, setAction] = useState<Action | "">("");
  const [seconds, setSeconds] = useState(DEFAULT_WAIT);
  return (
    <ActionDialog
      {...props}
      title={text.servers.powerQuestion(props.hostname)}
      action={action ? text.servers.powerActions[action].action : text.servers.changePower}
      ready={action !== "" && (action !== "SOFT_OFF" || isWait(seconds))}
      send={(init) => {
        if (!action) throw new TypeError("nothing is chosen");
        const body: ChangePowerRequest =
          action === "SOFT_OFF" ? { action, shutdown_seconds: Number(seconds) } : { action };
        return answer(api.POST("/servers/{hostname}/power", { ...init, body }));
      }}
    >
      <Choices
        legend={text.servers.powerHow}
        choices={ACTIONS.map((value) => ({ value, ...text.servers.powerActions[value] }))}
        chosen={action}
        onChosen={setAction}
      />
      {action === "SOFT_OFF" && <WaitField seconds={seconds} onSeconds={setSeconds} />}
    </ActionDialog>
  );
}
