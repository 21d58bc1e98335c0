import type {
  ExitRescueResponseProof,
  OperationMetadataFault,
  OperationMetadataKind,
  OperationMetadataState,
  OperationStepState,
  PowerState,
  RebootServerResponseProof,
  StartInstallResponseProof,
} from "../../api/schema";

export const title = "Operations";
export const intro = "What was asked for here, by people and by API keys.";
export const kept = "An operation is kept for some time after its end, and not for ever.";
export const one = "Operation";
export const now = "What goes on";
export const linked = "The operation that you came for";
export const elsewhere = "It is an operation of another server:";
export const you = "you";
export const by = (who: string) => `by ${who}`;
export const none = "Nothing was asked for lately.";
export const more = "Show older ones";
export const steps = "Steps";

export const kind: Record<OperationMetadataKind, string> = {
  KIND_UNSPECIFIED: "Operation",
  REBOOT: "Reboot",
  POWER: "Change of power",
  RESCUE_ENTER: "Enter rescue",
  RESCUE_EXIT: "Exit rescue",
  INSTALL: "Install",
  IP_MOVE: "Move of an address",
  ANTISPAM_UNBLOCK: "Unblock port 25",
};

/** The same, said of a server to which it is happening. */
export const happening: Record<OperationMetadataKind, string> = {
  KIND_UNSPECIFIED: "Busy",
  REBOOT: "Rebooting",
  POWER: "Changing power",
  RESCUE_ENTER: "Entering rescue",
  RESCUE_EXIT: "Exiting rescue",
  INSTALL: "Installing",
  IP_MOVE: "Moving an address",
  ANTISPAM_UNBLOCK: "Unblocking port 25",
};

export const state: Record<OperationMetadataState, string> = {
  STATE_UNSPECIFIED: "Unknown",
  PENDING: "Waiting to begin",
  RUNNING: "Under way",
  SUCCEEDED: "Done",
  FAILED: "Failed",
  CANCELLED: "Cancelled",
};

export const stepState: Record<OperationStepState, string> = {
  STATE_UNSPECIFIED: "unknown",
  TODO: "to do",
  DOING: "under way",
  DONE: "done",
  ERROR: "failed",
};

export const fault: Record<OperationMetadataFault, string> = {
  FAULT_UNSPECIFIED: "",
  CUSTOMER: "You can mend this: the server was in no state for it.",
  PROVIDER: "The fault is with us, not with you: our hardware or our platform failed.",
};

/** So many seconds that something took, as exactly as is of use. */
export function seconds(count: number): string {
  if (count < 0.1) return "< 0.1 s";
  return count < 10 ? `${count.toFixed(1)} s` : counting(count);
}

/** So many seconds of something that goes on. */
export function counting(count: number): string {
  if (count < 60) return `${Math.floor(count)} s`;
  if (count < 3600) return `${Math.floor(count / 60)} min ${Math.floor(count % 60)} s`;
  return `${Math.floor(count / 3600)} h ${Math.floor((count % 3600) / 60)} min`;
}

export const took = "took";
export const failed = "It failed.";
export const cancelled = "It was cancelled before anything was changed.";
export const dismiss = "Hide";

/** What screen readers are told when something has changed. */
export const announced = (kind: string, what: string) => `${kind}: ${what}`;

export const cancel = "Cancel this operation";
export const cancelQuestion = (kind: string, server: string) => `Cancel “${kind}” of ${server}?`;
export const cancelLoses =
  "It ends as if it had not been asked for. Once its command has been sent to the machine it cannot be called back, and this is refused.";
export const cancelAction = "Cancel it";
export const keep = "Keep it";

export const holder = "What holds the server:";
export const sameRequest = "This was accepted before:";
export const show = "Show it";

const restarted: Record<RebootServerResponseProof, string> = {
  PROOF_UNSPECIFIED: "",
  EVENT_LOG: "its event log recorded a start",
  POWER_OFF_THEN_ON: "its power was seen off and on again",
  RESTART_CAUSE: "its BMC named the command as the cause of its last start",
};
const left: Record<ExitRescueResponseProof, string> = {
  PROOF_UNSPECIFIED: "",
  BOOT_SCRIPT: "it asked what to boot, and was told its disk",
  SILENCE: "the rescue system was not heard of again",
};
const installed: Record<StartInstallResponseProof, string> = {
  PROOF_UNSPECIFIED: "",
  FIRST_BOOT: "the new system called home",
  BOOT_SCRIPT: "after the installer it asked what to boot, and was told its disk",
  SILENCE: "the installer was done and was not heard of again",
};
const power: Record<PowerState, string> = {
  STATE_UNSPECIFIED: "",
  ON: "on",
  OFF: "off",
  UNKNOWN: "in a state that its BMC does not say",
};

const proven = (what: string, proof: string) => (proof ? `${what}: ${proof}.` : `${what}.`);

export const rebooted = (proof: RebootServerResponseProof) =>
  proven("The machine was seen to restart", restarted[proof]);
export const powered = (state: PowerState | undefined, changed: boolean) => {
  const now = power[state ?? "UNKNOWN"];
  return changed ? `The machine is ${now}.` : `The machine was ${now} already: nothing was sent.`;
};
export const entered = "The rescue system called home: you can log in now.";
export const exited = (proof: ExitRescueResponseProof) =>
  proven("The machine left the rescue system", left[proof]);
export const installedAs = (template: string, proof: StartInstallResponseProof) =>
  proven(`${template} was installed, and seen to start`, installed[proof]);
export const moved = (ip: string, to: string) => `${ip} leads to ${to} now.`;
export const unblocked = (ip: string) => `Port 25 is open again for ${ip}.`;
