import type { AntihackSourceHealth, BlockedAddressState, UnbanResult } from "../../api/schema";

export const title = "Anti-hack";
export const explained =
  "Gateways before the server run fail2ban, which blocks addresses that attack it.";
export const noGateway = "No gateway protects this server.";
export const sources = "Gateways";
export const healths: Record<AntihackSourceHealth, string> = {
  HEALTH_UNSPECIFIED: "not known",
  OK: "running",
  NO_JAILS: "no jail",
  NOT_RUNNING: "not running",
  NOT_INSTALLED: "not installed",
  UNREACHABLE: "no answer",
};
/** What that means for an address of the server. */
export const means = (gateway: string, ip: string): Record<AntihackSourceHealth, string> => ({
  HEALTH_UNSPECIFIED: `What ${gateway} blocks for ${ip} is not known.`,
  OK: `fail2ban on ${gateway} runs and protects ${ip}.`,
  NO_JAILS: `fail2ban on ${gateway} runs and has no jail for ${ip}: it does not protect it.`,
  NOT_RUNNING: `fail2ban is not running on ${gateway}: it does not protect ${ip}, and what is blocked is not known.`,
  NOT_INSTALLED: `fail2ban is not installed on ${gateway}: it does not protect ${ip}, and what is blocked is not known.`,
  UNREACHABLE: `${gateway} does not answer: what it blocks for ${ip} is not known.`,
});
export const jails = (names: string) => `jails: ${names}`;
export const blockedCount = (count: string) => `${count} blocked`;
export const seen = "seen";

export const blocked = "Blocked addresses";
export const search = "Find an address";
export const searchExample = "198.51.100.7";
export const find = "Find";
export const showAll = "Show all";
export const noneBlocked = "No address is blocked.";
export const noneFound = (ip: string) => `${ip} is not blocked.`;
export const noneKnown =
  "No blocked address is known of, but not every gateway says what it blocks.";
export const incomplete = "Not every gateway says what it blocks: this list may lack some.";
export const pages = "Pages of blocked addresses";
export const jail = (name: string, gateway: string) => `jail ${name} on ${gateway}`;
export const keptFrom = (ip: string) => `kept away from ${ip}`;
export const began = "blocked";
export const until = "ends";
export const forGood = "for good";
export const before = (times: number) =>
  times === 1 ? "blocked once before" : `blocked ${times} times before`;
export const states: Record<BlockedAddressState, string> = {
  STATE_UNSPECIFIED: "not known",
  BLOCKED: "blocked",
  UNBLOCKING: "being lifted",
  UNBLOCKED: "lifted",
};
export const network = "A network is unblocked by us alone: write to us.";

export const unban = "Unban";
export const unbanLabel = (ip: string, jail: string) => `Unban ${ip} in ${jail}`;
export const unbanTitle = (ip: string) => `Unban ${ip}?`;
export const unbanExplained = (ip: string, hostname: string) =>
  `${ip} can reach ${hostname} again. If it goes on as before, fail2ban blocks it again.`;
export const where = "Where";
export const everyJail = "In every jail of this server, on every gateway";
export const thisJail = (jail: string) => `Only in ${jail}`;
export const results = "What came of it";
export const lifted = (ip: string, jails: number) =>
  jails === 0
    ? `${ip} was not blocked any more.`
    : jails === 1
      ? `${ip} is not blocked any more: fail2ban confirmed it of 1 jail.`
      : `${ip} is not blocked any more: fail2ban confirmed it of ${jails} jails.`;
export const unconfirmed = (ip: string) =>
  `Not every gateway confirmed that ${ip} is unblocked. Try again.`;
export const outcomes: Record<UnbanResult["outcome"], string> = {
  OUTCOME_UNSPECIFIED: "not known",
  UNBANNED: "unbanned",
  NOT_BANNED: "was not blocked",
  FAILED: "not confirmed",
};
