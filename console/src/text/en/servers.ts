import type {
  ChangePowerRequest,
  NetbootBootType,
  PowerState,
  RescueState,
} from "../../api/schema";

export const title = "Servers";
export const search = "Search by name, address or datacenter";
export const none = "There is no server in your account yet.";
export const noneHint = "As soon as your provider hands one over to you, it stands here.";
export const count = (shown: number, all: number) =>
  shown === all ? `${all} ${all === 1 ? "server" : "servers"}` : `${shown} of ${all} servers`;
export const showMore = (count: number) => `Show ${count} more`;
export const allServers = "All servers";

export const addresses = "Addresses";
export const datacenter = "Datacenter";
export const mac = "Boot interface";
export const state = "State";
export const power = "Power";
export const nextBoot = "Next boot";
export const lastBoot = "Last netboot";
export const once = "once, then its disk again";
export const neverAsked = "None seen";
export const moreAddresses = (count: number) => `and ${count} more`;

export const powerState: Record<PowerState, string> = {
  STATE_UNSPECIFIED: "Not known yet",
  ON: "On",
  OFF: "Off",
  UNKNOWN: "Unknown",
};
export const seen = "seen";
export const bmcAuthFailed = "The BMC refuses our login. We have to mend that; tell us.";
export const bmcUnreachable = "The BMC does not answer, so this may have changed since.";

export const boot: Record<NetbootBootType, string> = {
  BOOT_TYPE_UNSPECIFIED: "Unknown",
  HARDDISK: "Its own disk",
  RESCUE: "Rescue system",
  INSTALL: "Installer",
  NETWORK: "Network image",
};

export const held = "An operation holds this server. When it has ended, another can be begun.";

/** While an action was sent, and nothing has come back. */
export const sent = "Sent. Waiting for the answer…";
export const notTwice =
  "You can press the button again: it is done once, even if it was accepted before.";

export const reboot = "Reboot";
export const rebootQuestion = (server: string) => `Reboot ${server}?`;
export const rebootHow = "How";
export const rebootModes = {
  HARD: {
    label: "Hard reset",
    note: "As if its reset button were pressed. What was not written to disk is lost.",
  },
  SOFT: {
    label: "Ask the operating system",
    note: "It shuts down in order, and is switched on again. Nothing is lost if it does.",
  },
  POWER_CYCLE: {
    label: "Power cycle",
    note: "Takes the power away for a moment. What was not written to disk is lost.",
  },
};
export const rebootLoses = (server: string) =>
  `${server} is restarted, and is not reachable until it has started again.`;
export const isOff = "It was last seen switched off: switch it on instead.";
export const waitSeconds = "Wait for it to shut down, in seconds";
export const waitSecondsHint = (shortest: number, longest: number) => `${shortest} to ${longest}.`;
export const orReset = "Reset it if it has not shut down by then";
export const orResetNote =
  "What was not written to disk is lost then. Otherwise the operation fails, and the machine is left alone.";

export const powerQuestion = (server: string) => `Change the power of ${server}?`;
export const powerHow = "What to do";
export const powerActions: Record<
  ChangePowerRequest["action"],
  { label: string; note: string; action: string }
> = {
  ON: { label: "Switch on", note: "Nothing is lost.", action: "Switch on" },
  SOFT_OFF: {
    label: "Shut down",
    note: "Asks the operating system to shut down. It stays off until it is switched on.",
    action: "Shut down",
  },
  OFF: {
    label: "Switch off",
    note: "Takes the power away. What was not written to disk is lost.",
    action: "Switch off",
  },
  CYCLE: {
    label: "Off and on again",
    note: "Takes the power away for a moment. What was not written to disk is lost. It must be on.",
    action: "Switch off and on",
  },
};
export const changePower = "Power";

export const enterRescue = "Enter rescue";
export const enterRescueQuestion = (server: string) => `Boot ${server} into rescue?`;
export const enterRescueLoses = (server: string) =>
  `${server} is restarted by power into a small system beside its disks. What was not written to disk is lost; the disks themselves are not touched.`;
export const sshKeys = "SSH public keys";
export const rescueKeysHint =
  "One per line. They may log in as root. Without any, a password is made for you, which you can read once.";
export const privateKey =
  "This is a private key. Keep it to yourself; put in the public one (the file ending in .pub).";
export const exitRescue = "Exit rescue";
export const exitRescueQuestion = (server: string) => `Take ${server} out of rescue?`;
export const exitRescueLoses = (server: string) =>
  `${server} is restarted by power and boots from its disk. What is in the memory of the rescue system is lost.`;

export const rescue = "Rescue";
export const rescueState: Record<RescueState, { label: string; note: string }> = {
  STATE_UNSPECIFIED: { label: "Unknown", note: "" },
  INACTIVE: {
    label: "Not in rescue",
    note: "The rescue system is a small system beside the server's disks, to repair what does not start any more.",
  },
  ENTERING: { label: "Entering", note: "The machine is being booted into the rescue system." },
  ACTIVE: { label: "In rescue", note: "You can log in as root." },
  EXITING: { label: "Exiting", note: "The machine is being booted from its disk." },
  ENTER_FAILED: {
    label: "Entering failed",
    note: "The machine was not seen in the rescue system. Enter again, or exit to boot from its disk.",
  },
  EXIT_FAILED: {
    label: "Exiting failed",
    note: "The machine was not seen to leave the rescue system. Exit again, or reboot.",
  },
};
export const copyCommand = "Copy command";
export const image = "Image";
export const fingerprints = "Host keys";
export const fingerprintsHint = "Compare them with what ssh shows you on the first connection.";
export const readySince = "Ready";
export const lastContact = "Last heard of";
export const readPassword = "Read the password";
export const readPasswordQuestion = (server: string) => `Read root's password of ${server}?`;
export const readPasswordLoses =
  "It can be read this one time; afterwards it is gone here. Have a place ready to keep it.";
export const passwordOf = (server: string) => `root's password of ${server}`;
export const passwordUse = "Log in with it:";
export const passwordOnce = "It is not shown again. Keep it before you close this.";
export const copyPassword = "Copy password";
export const kept = "I have kept it";

export const install = "Install";
export const installQuestion = (server: string) => `Install ${server} anew?`;
export const installLoses = (server: string) =>
  `Everything on the disks of ${server} is destroyed. It cannot be brought back.`;
export const template = "Operating system";
export const choose = "Choose…";
export const layout = "Disks";
export const osHostname = "Name of the installed system";
export const osHostnameHint = (server: string) => `Empty: ${server}.`;
export const installKeysHint = "One per line. They may log in to the installed system.";
export const confirmHostname = (server: string) => `Type ${server} to confirm`;
export const noTemplates = "Your provider has set up nothing that can be installed.";
export const installNever = "Nothing was installed here lately.";
export const installTitle = "Installation";
export const progress = "Progress";
export const percent = (count: number) => `${count} %`;
export const installer = "The installer says";
export const elapsed = "Time taken";
export const log = "Last lines of its log";
export const failedBecause = "Why it failed";
export const onThisPage = "On this page";
