import type { Session } from "../api/schema";
import { useSession } from "../session/session";

/** The address that the API sees this browser at; empty: it does not say. */
export function useOwnAddress(): string {
  const session: (Session & { address?: string }) | null | undefined = useSession().data;
  return session?.address ?? "";
}
