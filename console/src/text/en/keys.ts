import type { ApiKeyState, ApiKeyWarning, RotateKeyRequestOverlap } from "../../api/schema";

export const title = "API keys";
export const intro =
  "A key lets a script do a few chosen things on chosen servers, and nothing else.";
export const generate = "Generate API key";
export const none = "No API keys yet";
export const noneHint =
  "Choose servers and what the key may do on them, and copy the command that is then shown: it works at once.";
export const noneReadOnly = "Your role can look at keys. A member or the owner makes them.";

export const search = "Search by label, id, server or capability";
export const stateFilter = "State";
export const allStates = "All states";
export const found = (count: number, of: number) =>
  count === of ? `${of} ${of === 1 ? "key" : "keys"}` : `${count} of ${of} keys`;

export const noLabel = "No label";
export const mayDo = "Capabilities";
export const onServers = "Servers";
export const fromNetworks = "Networks";
export const fromAnywhere = "Any address";
export const noServers = "None";
export const more = (count: number) => `and ${count} more`;
export const created = "Created";
export const expires = "Expires";
export const expired = "Expired";
export const revoked = "Revoked";
export const never = "Never";
export const lastUsed = "Last used";
export const from = "from";
export const neverUsed = "Never used";
export const calls = (day: number, month: number) =>
  `${day} ${day === 1 ? "call" : "calls"} in 24 hours, ${month} in 30 days`;
export const replacedBy = "Rotated. In its place:";
export const replaces = "In place of";

export const states: Record<ApiKeyState, string> = {
  STATE_UNSPECIFIED: "Unknown",
  ACTIVE: "Active",
  EXPIRED: "Expired",
  REVOKED: "Revoked",
};

export const warnings: Record<ApiKeyWarning, string> = {
  WARNING_UNSPECIFIED: "There is a risk that this page does not know.",
  NO_EXPIRY: "It never expires: if it leaks, it works until somebody revokes it.",
  NO_CIDR: "It works from any address: name the networks it is used from.",
  UNUSED_90_DAYS: "It was not used for 90 days: if nothing needs it, revoke it.",
  ALL_SERVERS: "It acts on every server of the account: tick only those it needs.",
};

export const label = "Label (optional)";
export const labelExample = "e.g. CI, monitoring";
export const services = "Dedicated services";
export const servicesHint =
  "Tick each server this key is allowed to act on. Required when you enable server capabilities.";
export const searchServices = "Search by hostname, IP or datacenter";
export const searchHosts = "Search by hostname";
export const noServices = "This account has no servers yet.";
export const service = (hostname: string, ip: string, datacenter: string) =>
  [hostname, ip, datacenter].filter(Boolean).join(" · ");
export const cidrs = "CIDR allowlist (optional)";
export const cidrsHint =
  "One per line, e.g. 203.0.113.4/32. Empty: the key works from any address.";
export const addMyAddress = (address: string) => `Add my address (${address})`;
export const capabilities = "Capabilities";
export const capabilitiesHint =
  "Select at least one. Server-scoped actions require at least one service above.";
export const cannotFollow = (capability: string, details: string) =>
  `With “${capability}” alone a script cannot see how it ended: that takes “${details}”.`;
export const tickAsWell = "Tick it as well";
export const expiry = "Expiry";
export const expiryChoices = {
  "30": "In 30 days",
  "90": "In 90 days",
  "365": "In 1 year",
  date: "At the end of a day…",
  never: "Never",
};
export const lastDay = "Last day";
export const worksUntil = (time: string) => `It works until ${time}.`;
export const lastDayWrong = "Choose a day from today on.";
export const create = "Create";

export const needsCapability = "Select at least one.";
export const needsService = (capability: string) =>
  `Tick at least one service: “${capability}” acts on a server.`;
export const seeFields = (unsure: boolean) =>
  `${unsure ? "" : "The key was not created. "}What is wrong is said at its field.`;
export const maybeMade =
  "Whether the key was made is not known: the answer did not arrive. Send it again, and you will know. It is the same request, so it makes no second key.";
export const mayNot = "Your role can look at keys, not make them.";

const line = (index: number) => `Line ${index + 1}`;
export const lineWrong = (index: number, why: string) => `${line(index)}: ${why}`;
export const hostBits = (index: number, typed: string, network: string) =>
  `${line(index)}: ${typed} has host bits: ${network}`;
export const oneAddress = (index: number, typed: string, network: string) =>
  `${line(index)}: ${typed} is one address and counts as ${network}.`;
export const several = (index: number) => `${line(index)}: one per line, please.`;
export const noNetwork = (index: number, typed: string) =>
  `${line(index)}: “${typed}” is no network. Write one like 203.0.113.4/32 or 2001:db8::/48.`;
export const tooLong = (index: number, typed: string, most: string) =>
  `${line(index)}: ${typed} is too long a prefix: ${most} is the longest.`;
export const asBefore = (index: number, typed: string, before: number) =>
  `${line(index)}: ${typed} is there already, on line ${before + 1}.`;
export const tooMany = (count: number, most: number) =>
  `${count} networks are too many: a key takes ${most}.`;
export const use = (instead: string) => `Write ${instead}`;
export const split = "Put each on its line";
export const removeLine = "Remove this line";

export const madeTitle = "Your new API key";
export const madeOnce =
  "Copy it now: it is shown this once. Not by going back, not by reloading, and not by us can it be seen again.";
export const madeKeep = "Whoever has it can do what it allows. Keep it as you keep a password.";
export const secret = "API key";
export const copySecret = "Copy key";
export const tryIt = "Try it";
export const copyCurl = "Copy command";
export const curlReads = (label: string) => `In a terminal. It only reads: ${label}.`;
export const curlActs = (label: string) => `In a terminal. Careful, it acts at once: ${label}.`;
export const curlPlaceholder = (placeholder: string) =>
  `Put the blocked address in place of ${placeholder}.`;
export const notFromHere = (address: string) =>
  `Not from here: your address ${address} is in none of the key's networks.`;
export const done = "Done: to the list of keys";
export const oldRevoked = (id: string) =>
  `The old key ${id} is revoked: nothing can use it any more.`;
export const oldWorksUntil = (id: string, time: string) =>
  `The old key ${id} works until ${time}. Put the new one in its place before.`;

export const lostTitle = "The key was made, but its secret was lost";
export const lostWhat =
  "The answer that the secret was in did not arrive here, and it is not given twice. Rotate the key to get another secret, which ends the lost one, or revoke it.";
export const lostRotate = "Rotate: get another secret";

export const revoke = "Revoke";
export const revokeTitle = (name: string) => `Revoke ${name}?`;
export const revokeAction = "Revoke key";
export const revokeWhat =
  "From then on every call with it is refused, within one second, on every API server. This cannot be undone.";
export const revokeUsed = "It was last used";
export const revokeUnused = "It was never used.";
export const revokedNow = (name: string) => `Revoked: ${name}. Every call with it is refused now.`;

export const rotate = "Rotate";
export const rotateTitle = (name: string) => `Rotate ${name}?`;
export const rotateWhat =
  "You get a new key that may do the same, from the same networks, and lives as long as this one was to.";
export const rotateOverlap = "How long does the old key go on to work?";
export const overlaps: Record<Exclude<RotateKeyRequestOverlap, "OVERLAP_UNSPECIFIED">, string> = {
  NOW: "Not at all: it is revoked at once. Choose this if it has leaked.",
  ONE_HOUR: "1 hour more",
  ONE_DAY: "24 hours more",
  SEVEN_DAYS: "7 days more",
};
export const overlapEnd = "Never longer than until it expires.";

export const edit = "Edit";
export const editTitle = (name: string) => `Edit ${name}`;
export const editWhat =
  "What you untick and save is taken from the key for good. It cannot be given more than it has: for that, make a new key.";
export const editServices =
  "The servers that it may act on. Those that it does not have cannot be ticked: make a new key for them.";
export const editCapabilities =
  "What it may do. What it does not have cannot be ticked: make a new key for that.";
export const takesAway = (capabilities: number, servers: number) =>
  `Saving takes away for good: ${capabilities} of its capabilities, ${servers} of its servers.`;
export const save = "Save";
export const saved = (name: string) => `Saved: ${name}.`;

/** How a key is called in a sentence. */
export const named = (label: string, id: string) => (label ? `“${label}” (${id})` : id);
