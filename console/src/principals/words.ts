import type { Requester } from "../api/schema";
import { text } from "../text";
import type { Names } from "./queries";

/** A key or a person in words; who has no name is called by the id. */
export function whoIs({ audience, subject }: Requester, names: Names): string {
  const named = names.get(subject);
  // Of what was kept long ago only the id is known.
  const kind = audience === "AUDIENCE_UNSPECIFIED" ? named?.audience : audience;
  switch (kind) {
    case "CUSTOMER":
      return text.principals.key(named?.name || subject);
    case "SESSION":
      return named?.name || text.principals.person(subject);
    default:
      return subject;
  }
}
