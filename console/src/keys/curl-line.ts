/** A first call with a new key, ready for a terminal. */

import type { ApiKey, Server } from "../api/schema";

export interface CurlLine {
  /** For a POSIX shell. */
  line: string;
  capability: string;
  /** Whether it only looks. */
  reads: boolean;
  /** An address in it for which there is no real one; empty: none. */
  placeholder: string;
}

/** A blocked address, for a call that needs one: RFC 5737, section 3. */
const BLOCKED = "192.0.2.1";

interface Call {
  capability: string;
  method?: "POST";
  /** Below /api. */
  path: string;
  body?: Record<string, string>;
}

/**
 * The first thing that a key may do, on the first of its servers, looking before acting.
 *
 * `servers`: the account's, for their addresses. `origin`: of the API, as the browser has it. Null:
 * there is no call that is sure to make sense.
 */
export function curlLine(
  key: Pick<ApiKey, "capabilities" | "servers">,
  secret: string,
  servers: Server[],
  origin: string,
): CurlLine | null {
  const [hostname = ""] = key.servers;
  const server = hostname ? servers.find((each) => each.hostname === hostname) : servers[0];
  const call = calls(hostname, server?.ips[0] ?? "").find(
    ({ capability, path, body }) =>
      key.capabilities.includes(capability) &&
      !path.includes("//") &&
      Object.values(body ?? {}).every(Boolean),
  );
  if (!call) return null;
  const words = ["curl", "-sS"];
  if (call.method) words.push("-X", call.method);
  words.push(quoted(`${origin}/api${call.path}`), "-H", quoted(`X-API-Key: ${secret}`));
  if (call.body) {
    words.push("-H", quoted("Content-Type: application/json"));
    words.push("-d", quoted(JSON.stringify(call.body)));
  }
  return {
    line: words.join(" "),
    capability: call.capability,
    reads: !call.method,
    placeholder: Object.values(call.body ?? {}).includes(BLOCKED) ? BLOCKED : "",
  };
}

/** The calls to choose from, the best first. What is not known of the server is empty in them. */
function calls(hostname: string, ip: string): Call[] {
  const server = `/servers/${hostname}`;
  return [
    { capability: "server.details", path: server },
    { capability: "ipmi.status", path: `${server}/ipmi` },
    { capability: "monitoring.read", path: `${server}/monitoring` },
    { capability: "install.status", path: `${server}/install/status` },
    { capability: "ip.manage", path: `${server}/ips` },
    { capability: "ptr.update", path: `/ips/${ip}/ptr` },
    { capability: "antihack.status", path: `${server}/antihack` },
    { capability: "antispam.status", path: `${server}/antispam` },
    { capability: "rescue.enter", path: `${server}/rescue` },
    { capability: "install.start", path: "/install/templates" },
    { capability: "console.attach", path: `${server}/console` },
    { capability: "server.reboot", method: "POST", path: `${server}/reboot` },
    { capability: "server.power", method: "POST", path: `${server}/power`, body: { action: "ON" } },
    { capability: "rescue.exit", method: "POST", path: `${server}/rescue/exit` },
    {
      capability: "antispam.unblock",
      method: "POST",
      path: `${server}/antispam/unblock`,
      body: { ip },
    },
    {
      capability: "antihack.unban",
      method: "POST",
      path: `${server}/antihack/unban`,
      body: { ip: BLOCKED },
    },
    {
      capability: "antihack.us_unblock",
      method: "POST",
      path: "/us/antihack/unblock",
      body: { ip, blocked_ip: BLOCKED },
    },
  ];
}

/** As one word of a POSIX shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
