import type {
  Health,
  Ipmi,
  PowerState,
  TestIpmiResponseStageName,
  TestIpmiResponseStageResult,
} from "../../api/schema";

export const title = "Hardware";

export const answers = "The BMC answers";
export const answersHint =
  "The BMC is the management controller of the server; it works even while the server is off.";
export const loginRefused = "The BMC refuses our login";
export const loginRefusedHint =
  "It is not tried again until we have changed the login. Write to us if this stays so.";
export const silent = "The BMC does not answer";
export const silentHint = "It is tried again by itself, less and less often.";
export const sessionsTaken = "All sessions of the BMC are taken";
export const sessionsTakenHint =
  "It answers, and lets nobody in. It frees its sessions after a while.";
export const untried = "The BMC was not asked yet";
export const failing = "It fails so often that somebody should look after it. Write to us.";
export const failures = (count: number) =>
  count === 1 ? "It did not answer once." : `It did not answer ${count} times in a row.`;
export const lastSeen = "What you see below was last seen then. It may be otherwise now.";

export const power = "Power";
export const powerLastSeen = "Power, last seen";
export const powers: Record<PowerState, string> = {
  STATE_UNSPECIFIED: "not known",
  ON: "on",
  OFF: "off",
  UNKNOWN: "not known: the BMC does not say",
};
export const asked = "Asked";
export const answered = "Last answered";
export const never = "never";
export const firmware = "Firmware of the BMC";
export const product = "Product";
export const protocol = "Protocol";
export const ipmiVersion = (version: string) => `version ${version}`;
export const features = "It can";
export const featureNames: Record<Ipmi["features"][number], string> = {
  FEATURE_UNSPECIFIED: "",
  RESTART_CAUSE: "say why the server last started",
  EVENT_LOG: "keep an event log",
  SENSORS: "read sensors",
  SERIAL_CONSOLE: "show the serial console",
};

export const drift = (expected: string) =>
  `The power is not what was last asked for, which was “${expected}”. It was switched at the machine, from inside its operating system, or by a fault. We do not change it back.`;
export const driftSince = "First seen so";

export const sensors = "Sensors";
export const noSensors = "The BMC has no sensors.";
export const read = "Read";
export const sensorsLastSeen =
  "The BMC does not answer. These are the last readings that we have, not those of now.";
export const noReading = "no reading";
export const healths: Record<Health, string> = {
  HEALTH_UNSPECIFIED: "not known",
  HEALTH_OK: "OK",
  HEALTH_WARNING: "warning",
  HEALTH_CRITICAL: "critical",
  HEALTH_UNKNOWN: "not known",
};
export const bounds = {
  lower_non_recoverable: "fails below",
  lower_critical: "critical below",
  lower_non_critical: "warning below",
  upper_non_critical: "warning above",
  upper_critical: "critical above",
  upper_non_recoverable: "fails above",
} as const;
export const otherSensors = "Others";

export const events = "Event log";
export const eventsHint = "What the BMC recorded. It is read record by record, and a BMC is slow.";
export const readEvents = "Read the event log";
export const readingEvents = (done: number, total: number) =>
  total ? `Reading the event log: ${done} of ${total} records…` : "Reading the event log…";
export const noEvents = "The event log is empty.";
export const ended = "ended";
export const timeUnknown = "time not known";
export const clockUnset = "The clock of the BMC is not set: when these happened is not known.";
export const clockOff = (offset: string) =>
  `The clock of the BMC is ${offset}; the times here are corrected by that.`;
export const ahead = (seconds: string) => `${seconds} s ahead`;
export const behind = (seconds: string) => `${seconds} s behind`;
export const eventPages = "Pages of the event log";

export const test = "Test the connection";
export const stages: Record<TestIpmiResponseStageName, string> = {
  NAME_UNSPECIFIED: "",
  PING: "It answers at all",
  SESSION: "It has a session for us",
  PASSWORD: "It takes our user name and password",
};
export const results: Record<TestIpmiResponseStageResult, string> = {
  RESULT_UNSPECIFIED: "not known",
  PASSED: "passed",
  FAILED: "failed",
  SKIPPED: "not tried",
};
export const milliseconds = (value: string) => `${value} ms`;
export const tested = "Result of the test";
