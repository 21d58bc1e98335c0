import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import type { PowerState, RebootServerRequest } from "../api/schema";
import { Notice } from "../parts/notice";
import { text } from "../text";
import { ActionDialog, type ActionProps } from "./action-dialog";
import { Choices } from "./choices";
import { DEFAULT_WAIT, isWait, WaitField } from "./wait-field";

type Mode = keyof typeof text.servers.rebootModes;
const MODES: Mode[] = ["HARD", "SOFT", "POWER_CYCLE"];

interface Props extends ActionProps {
  power: PowerState | undefined;
}

/** Asks before a server is restarted, and how. */
export function RebootDialog({ power, ...action }: Props) {
  const [mode, setMode] = useState<Mode>("HARD");
  const [seconds, setSeconds] = useState(DEFAULT_WAIT);
  const [orReset, setOrReset] = useState(false);
  const body: RebootServerRequest =
    mode === "SOFT"
      ? { mode, shutdown_seconds: Number(seconds), hard_if_not_shut_down: orReset }
      : { mode };
  return (
    <ActionDialog
      {...action}
      title={text.servers.rebootQuestion(action.hostname)}
      action={text.servers.reboot}
      ready={mode !== "SOFT" || isWait(seconds)}
      send={(init) => answer(api.POST("/servers/{hostname}/reboot", { ...init, body }))}
    >
      <p>{text.servers.rebootLoses(action.hostname)}</p>
      {power === "OFF" && <Notice kind="warning">{text.servers.isOff}</Notice>}
      <Choices
        legend={text.servers.rebootHow}
        choices={MODES.map((value) => ({ value, ...text.servers.rebootModes[value] }))}
        chosen={mode}
        onChosen={setMode}
      />
      {mode === "SOFT" && (
        <>
          <WaitField seconds={seconds} onSeconds={setSeconds} />
          <label class="tick">
            <input
              type="checkbox"
              checked={orReset}
              onChange={(event) => setOrReset(event.currentTarget.checked)}
            />
            <span>
              {text.servers.orReset}
              <span class="small muted">{text.servers.orResetNote}</span>
            </span>
          </label>
        </>
      )}
    </ActionDialog>
  );
}
