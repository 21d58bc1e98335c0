/** The networks of a key, one a line, by the API's own rule: a CIDR prefix without host bits. */

import ipaddr from "ipaddr.js";

/** What is to be said of a line. `instead` is what to put in its place; empty: nothing. */
export interface Remark {
  /** From 0. */
  line: number;
  /** What stands there. */
  text: string;
  /**
   * `ADDRESS` alone is no error: one address stands for the network of it alone.
   * `SEVERAL`: a comma or a space between networks.
   */
  kind: "ADDRESS" | "HOST_BITS" | "SEVERAL" | "NO_NETWORK" | "PREFIX_TOO_LONG" | "AS_BEFORE";
  instead: string;
  /** For AS_BEFORE: the line that says the same, from 0. */
  before?: number;
}

export interface Networks {
  /** What to send; what is wrong is left out. */
  cidrs: string[];
  /** The line that each of them stands on, from 0. */
  lines: number[];
  remarks: Remark[];
}

/** The most that a key takes. */
export const MOST_NETWORKS = 100;

const LENGTH = /^(0|[1-9]\d{0,2})$/;

/** Reads what was typed. Blank lines are nothing. */
export function readNetworks(typed: string): Networks {
  const read: Networks = { cidrs: [], lines: [], remarks: [] };
  const seen = new Map<string, number>();
  for (const [line, whole] of typed.split("\n").entries()) {
    const text = whole.trim();
    if (!text) continue;
    const { cidr, wrong } = readLine(text);
    const before = seen.get(cidr);
    if (cidr && before !== undefined) {
      read.remarks.push({ line, text, kind: "AS_BEFORE", instead: "", before });
      continue;
    }
    if (wrong) read.remarks.push({ line, text, ...wrong });
    if (!cidr) continue;
    seen.set(cidr, line);
    read.cidrs.push(cidr);
    read.lines.push(line);
  }
  return read;
}

/** Whether nothing of it has to be mended before it can be sent. */
export function areGood({ cidrs, remarks }: Networks): boolean {
  return cidrs.length <= MOST_NETWORKS && remarks.every(({ kind }) => kind === "ADDRESS");
}

/** What was typed, with this done to one line of it. */
export function mended(typed: string, { line, instead }: Remark): string {
  return typed
    .split("\n")
    .flatMap((whole, index) => (index === line ? (instead ? [instead] : []) : [whole]))
    .join("\n");
}

/** What was typed, with an address on a line of its own. Unchanged when it is on one. */
export function withAddress(typed: string, address: string): string {
  const { cidr } = readLine(address);
  if (!cidr || readNetworks(typed).cidrs.includes(cidr)) return typed;
  return [...typed.split("\n").filter((line) => line.trim()), cidr].join("\n");
}

/** Whether an address is in one of the networks. */
export function isWithin(address: string, cidrs: string[]): boolean {
  const sought = parsed(address);
  return cidrs.some((cidr) => {
    const [network, length] = ipaddr.parseCIDR(cidr);
    return network.kind() === sought?.kind() && sought.match(network, length);
  });
}

interface Line {
  /** What to send for it; empty: nothing. */
  cidr: string;
  wrong?: Pick<Remark, "kind" | "instead">;
}

function readLine(text: string): Line {
  const parts = text.split(/[\s,;]+/).filter(Boolean);
  if (parts.length > 1 && parts.every((part) => parsed(part.split("/")[0] ?? ""))) {
    return { cidr: "", wrong: { kind: "SEVERAL", instead: parts.join("\n") } };
  }
  const [address = "", length, ...more] = text.split("/");
  const found = parsed(address);
  if (!found || more.length > 0 || (length !== undefined && !LENGTH.test(length))) {
    return { cidr: "", wrong: { kind: "NO_NETWORK", instead: "" } };
  }
  const most = found.toByteArray().length * 8;
  if (length === undefined) {
    return { cidr: `${found}/${most}`, wrong: { kind: "ADDRESS", instead: `${address}/${most}` } };
  }
  if (Number(length) > most) {
    const instead = `${address}/${most}`;
    return { cidr: "", wrong: { kind: "PREFIX_TOO_LONG", instead } };
  }
  const meant = networkOf(found, Number(length));
  if (meant !== String(found)) {
    return { cidr: "", wrong: { kind: "HOST_BITS", instead: `${meant}/${length}` } };
  }
  return { cidr: `${found}/${length}` };
}

/**
 * An address as RFC 4291 section 2.2 has it, without a zone, or null. The library reads more: zones,
 * octal, hexadecimal and short forms of IPv4.
 */
function parsed(address: string): ipaddr.IPv4 | ipaddr.IPv6 | null {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return ipaddr.IPv4.parse(address);
  if (!/^[0-9a-f:.]*:[0-9a-f:.]*$/i.test(address)) return null;
  const tail = address.slice(address.lastIndexOf(":") + 1);
  if (!tail.includes(".")) return ipaddr.IPv6.isValid(address) ? ipaddr.IPv6.parse(address) : null;
  if (!ipaddr.IPv4.isValidFourPartDecimal(tail)) return null;
  const [a = 0, b = 0, c = 0, d = 0] = ipaddr.IPv4.parse(tail).toByteArray();
  const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  return parsed(address.slice(0, -tail.length) + groups);
}

function networkOf(address: ipaddr.IPv4 | ipaddr.IPv6, length: number): string {
  const cidr = `${address}/${length}`;
  return String(
    address.kind() === "ipv4"
      ? ipaddr.IPv4.networkAddressFromCIDR(cidr)
      : ipaddr.IPv6.networkAddressFromCIDR(cidr),
  );
}
