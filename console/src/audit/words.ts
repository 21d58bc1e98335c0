import type { AuditRecord } from "../api/schema";
import { useNames } from "../principals/queries";
import { whoIs } from "../principals/words";
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

/** What else was asked, in words: what it is, and the value. */
export function detailsInWords({ details }: AuditRecord): [string, string][] {
  return Object.entries(details)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => [
      text.audit.details[name] ?? name.replaceAll("_", " "),
      value || text.audit.emptied,
    ]);
}

/** Tells who did what is recorded. */
export function useWho(records: AuditRecord[]): (record: AuditRecord) => string {
  const me = useSession().data?.user;
  const names = useNames(records.map(({ subject }) => subject));
  return ({ audience, subject }) => {
    switch (audience) {
      case "CUSTOMER":
        return whoIs({ audience, subject }, names);
      case "SESSION":
        return subject === me?.id ? text.audit.you : whoIs({ audience, subject }, names);
      case "NOC":
      case "STAFF":
        return text.audit.provider;
      default:
        // Somebody who signs in and is refused need not be who it is about.
        return text.audit.nobodyYet(names.get(subject)?.name ?? subject);
    }
  };
}
