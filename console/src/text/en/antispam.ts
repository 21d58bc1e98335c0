import type {
  AntispamAddressDelisting,
  AntispamAddressList,
  AntispamAddressListed,
  AntispamAddressState,
} from "../../api/schema";

export const title = "Anti-spam";
export const explained =
  "Two different facts of each address: whether we block its port 25, and whether Spamhaus lists it.";
export const none = "The server has no address.";

export const port25 = "Our block of port 25";
export const states: Record<AntispamAddressState, string> = {
  STATE_UNSPECIFIED: "not known",
  BLOCKED_FOR_SPAM: "blocked for spam",
  UNBLOCKING: "being unblocked",
  UNBLOCKED: "not blocked",
};
export const before = (times: number) =>
  times === 1
    ? "It was blocked once before; each time doubles the wait."
    : `It was blocked ${times} times before; each time doubles the wait.`;
export const waits = (left: string) => `Unblocking may be asked for in ${left}.`;
export const unblock = "Unblock";
export const unblockLabel = (ip: string) => `Unblock port 25 of ${ip}`;
export const unblockTitle = (ip: string) => `Unblock port 25 of ${ip}?`;
export const unblockExplained = (ip: string) =>
  `${ip} can send mail again. Find what sent the spam and stop it first: the next block waits twice as long.`;
export const unblocking = (ip: string) => `Port 25 of ${ip} is being unblocked.`;

export const spamhaus = "Spamhaus";
export const listed: Record<AntispamAddressListed, string> = {
  LISTED_UNSPECIFIED: "not known",
  LISTED: "listed",
  CLEAN: "on no list",
  UNKNOWN: "not known",
};
export const lookedUp = "looked up";
export const lists: Record<AntispamAddressList, string> = {
  LIST_UNSPECIFIED: "a list",
  SBL: "SBL: Spamhaus Block List",
  CSS: "CSS: Combined Spam Sources",
  XBL: "XBL: Exploits Block List",
  DROP: "DROP: Don't Route Or Peer",
  PBL: "PBL: Policy Block List",
  BCL: "BCL: Botnet Controller List",
};
export const delistings: Record<AntispamAddressDelisting, string> = {
  DELISTING_UNSPECIFIED: "",
  ISP: "Only we can ask Spamhaus to end this: write to us.",
  SELF: "You can ask Spamhaus to end this yourself:",
  EXPIRES: "It ends by itself when the cause is gone. Spamhaus says more:",
};
export const codes = (codes: string) => `return code ${codes}`;
