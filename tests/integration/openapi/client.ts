// Reboots a server, waits for the operation's end and prints it, all by what the document says.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Status = components["schemas"]["Status"];

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

function reason(error: Status): string {
  for (const detail of error.details) {
    if (detail["@type"] === "type.googleapis.com/google.rpc.ErrorInfo") return detail.reason;
  }
  return "";
}

const api = createClient<paths>({
  baseUrl: `${setting("F2H_URL")}/api`,
  headers: { "X-API-Key": setting("F2H_API_KEY") },
});
const hostname = setting("F2H_HOSTNAME");

const refused = await api.POST("/servers/{hostname}/reboot", {
  params: { path: { hostname: "ns1.nobodys.example.net" } },
});
if (refused.error === undefined) throw new Error("somebody else's server was rebooted");

const begun = await api.POST("/servers/{hostname}/reboot", {
  params: { path: { hostname }, header: { "Idempotency-Key": "typescript-1" } },
  body: { mode: "HARD" },
});
if (begun.error !== undefined) throw new Error(begun.error.message);

const id = begun.data.name.replace("operations/", "");
for (;;) {
  const read = await api.GET("/operations/{id}/wait", { params: { path: { id } } });
  if (read.error !== undefined) throw new Error(read.error.message);
  const { done, metadata, response } = read.data;
  if (!done) continue;
  // The compiler knows which message it is from here on.
  if (response?.["@type"] !== "type.googleapis.com/f2h.server_ops.v1.RebootServerResponse") {
    throw new Error("it did not end as a reboot");
  }
  const told = { refused: reason(refused.error), state: metadata?.state, proof: response.proof };
  console.log(JSON.stringify(told));
  break;
}
