export const title = "Audit";
export const intro =
  "Every change in your account, and every attempt at one. Records are only ever added.";
export const notForYou =
  "Your role is to look at servers and keys; the audit trail is for members and owners of the account. Ask one of them.";
export const none = "Nothing was recorded that fits.";
export const older = "Load older records";
export const oldest = "These are all records.";
export const shown = (count: number) => `${count} ${count === 1 ? "record" : "records"} shown`;
export const refresh = "Refresh";
export const csv = "Export as CSV";
export const csvName = (day: string) => `audit-${day}.csv`;

export const filter = "Filter";
export const apply = "Show";
export const clear = "Show all";
export const subject = "Who";
export const subjectHint = "Id of a key or person, or an e-mail address.";
export const resource = "On what";
export const resourceHint = "A hostname, an IP address, or the id of a key.";
export const method = "What";
export const anything = "Anything";
export const outcome = "Outcome";
export const any = "Any";
export const from = "From";
export const to = "Until";
export const since = (time: string) => `from ${time}`;
export const before = (time: string) => `until ${time}`;
export const yourTime = "In your time zone.";
export const onlyThis = (what: string) => `Only ${what}`;

export const you = "You";
export const provider = "F2HCloud staff";
export const nobodyYet = (claimed: string) => `Not signed in, as ${claimed}`;
export const fromAddress = (address: string) => `from ${address}`;
export const operation = "operation";
export const showOperation = (id: string) => `Show operation ${id}`;
export const request = "request";

/** What came of it. An operation goes on after it was accepted. */
export const outcomes = {
  OUTCOME_UNSPECIFIED: "Not known",
  ACCEPTED: "Done",
  REFUSED: "Refused",
  FAILED: "Failed",
};
export const accepted = "Accepted";

/** What can be done, by the name of its method. */
export const methods: Record<string, string> = {
  AttachConsole: "Attach to the serial console",
  BeginSecondFactor: "Begin to set up a second factor",
  CancelInstall: "Cancel install",
  CancelOperation: "Cancel operation",
  ChangePassword: "Change password",
  ChangePower: "Power on / off",
  ConfirmSecondFactor: "Turn the second factor on",
  CreateKey: "Create API key",
  CreateToken: "Create short-lived token",
  CreateUser: "Create user",
  CreateWebhook: "Create webhook",
  DeletePtr: "Delete PTR record",
  DeleteUser: "Remove user",
  DeleteWebhook: "Delete webhook",
  EndUserSessions: "End a user's sessions",
  EnterRescue: "Enter rescue",
  ExitRescue: "Exit rescue",
  Login: "Sign in",
  LoginWithOidc: "Sign in with the organisation",
  Logout: "Sign out",
  MoveIp: "Move IP",
  ReadConsole: "Read the serial console",
  ReadRescuePassword: "Read the rescue password",
  RebootServer: "Reboot server",
  RemoveSecondFactor: "Remove the second factor",
  ResetUser: "Reset user",
  RevokeKey: "Revoke API key",
  RotateKey: "Rotate API key",
  RotateWebhookSecret: "Rotate a webhook's secret",
  SetPtr: "Set PTR record",
  StartInstall: "Start install",
  TestIpmi: "Test IPMI",
  TestWebhook: "Test webhook",
  UnbanAddress: "Unban address",
  UnblockAntispam: "Antispam unblock",
  UnblockUsAddress: "US anti-hack unblock",
  UpdateKey: "Change API key",
  UpdateUser: "Change user",
  UpdateWebhook: "Change webhook",
};

/** What else was asked, by the field of the request, where that is not the word for it. */
export const details: Record<string, string> = {
  blocked_ip: "address",
  cidrs: "networks",
  email: "e-mail address",
  event_types: "events",
  expire_time: "expires",
  hostname: "to",
  ip: "address",
  os_hostname: "name",
  ptr: "name",
};
/** In place of a value, where what there was is taken away. */
export const emptied = "none";

export const columns = [
  "time",
  "who",
  "subject",
  "method",
  "resource",
  "details",
  "address",
  "outcome",
  "reason",
  "operation",
  "request",
  "sequence",
];
