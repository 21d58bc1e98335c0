import type { AuditRecord } from "../api/schema";
import { useKeys } from "../keys/queries";
import { useSession } from "../session/session";
import { text } from "../text";

/** "/package.Service/Method" in words. */
export function methodInWords(path: string): string {
  const method = path.slice(path.lastIndexOf("/") + 1);
  // One that is new, or the provider's own: "PutFailoverIp" is "Put failover ip".
  return (
    text.audit.methods[method] ??
    method.replace(/(?<=.)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
  );
}

/** Tells who did what is recorded. */
export function useWho(): (record: AuditRecord) => string {
  const me = useSession().data?.user;
  const keys = useKeys().data;
  return ({ audience, subject }) => {
    const mine = me !== undefined && subject === me.id;
    // Somebody who signs in and is refused need not be who it is about.
    if (mine && audience === "SESSION") return text.audit.you;
    switch (audience) {
      case "CUSTOMER":
        return text.audit.key(keys?.find(({ id }) => id === subject)?.label || subject);
      case "SESSION":
        return text.audit.person(subject);
      case "NOC":
      case "STAFF":
        return text.audit.provider;
      default:
        return text.audit.nobodyYet(mine ? me.email : subject);
    }
  };
}
