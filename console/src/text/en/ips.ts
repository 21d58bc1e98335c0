import type { IpRole, PtrForward } from "../../api/schema";

export const title = "Addresses";
export const none = "The server has no address.";
export const roles: Record<IpRole, string> = {
  ROLE_UNSPECIFIED: "",
  PRIMARY: "primary",
  ADDITIONAL: "additional",
  FAILOVER: "failover",
};
export const families = {
  FAMILY_UNSPECIFIED: "",
  IPV4: "IPv4",
  IPV6: "IPv6",
} as const;
export const network = (cidr: string) => `network ${cidr}`;
export const prefix = (bits: number) => `prefix length ${bits} bits`;
export const gateway = (ip: string) => `gateway ${ip}`;

export const ptr = "PTR";
export const noPtr = "no PTR record";
export const ptrUnknown = "PTR record not known: the DNS server did not answer, or none is set up";
export const changePtr = (ip: string) => `Change PTR of ${ip}`;
export const changePtrShort = "Change PTR";
export const setPtr = (ip: string) => `Set PTR of ${ip}`;
export const setPtrShort = "Set PTR";
export const ptrTitle = (ip: string) => `PTR record of ${ip}`;
export const ptrExplained =
  "The name that the reverse DNS gives for this address. Mail servers look at it.";
export const name = "Name";
export const nameHint =
  "A fully qualified domain name, for instance mail.example.net. It should lead back to the address.";
export const save = "Save";
export const remove = "Remove the record";
export const removeTitle = (ip: string) => `Remove the PTR record of ${ip}?`;
export const removeExplained = (ptr: string) =>
  `The address then has no name any more; it has “${ptr}” now.`;
export const forwards: Record<PtrForward, string> = {
  FORWARD_UNSPECIFIED: "",
  CONFIRMED: "The name leads back to the address.",
  NOT_CONFIRMED:
    "The name does not lead back to the address: none of its A or AAAA records is this address. Mail servers will not trust it.",
  UNKNOWN:
    "The name could not be looked up now: whether it leads back to the address is not known.",
};
export const saved = (ip: string, ptr: string) => `The DNS server holds “${ptr}” for ${ip}.`;
export const removed = (ip: string) => `${ip} has no PTR record any more.`;

export const move = "Move";
export const moveLabel = (ip: string) => `Move ${ip} to another server`;
export const moving = (ip: string) => `${ip} is being moved.`;
export const movingTo = (ip: string, hostname: string) => `${ip} to ${hostname}`;
export const moveTitle = (ip: string) => `Move ${ip} to another server?`;
export const moveTo = "To";
export const choose = "Choose a server";
export const moveLoses = (ip: string, from: string, to: string) =>
  `${from} loses ${ip}, and ${to} gets it. ${to} is held until the move is over.`;
export const moveAction = (to: string) => (to ? `Move to ${to}` : "Move");
export const noOther = "There is no other server in the account that it could be moved to.";
