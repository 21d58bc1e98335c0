import type { OperationMetadata } from "../api/schema";
import { Time } from "../parts/time";
import { useNames } from "../principals/queries";
import { whoIs } from "../principals/words";
import { useSession } from "../session/session";
import { text } from "../text";

/** When an operation was asked for, and by whom, where that is known. */
export function AskedFor({
  metadata: { create_time, requester },
}: {
  metadata: OperationMetadata;
}) {
  const me = useSession().data?.user?.id;
  const names = useNames(requester ? [requester.subject] : []);
  const who =
    requester && (requester.subject === me ? text.operations.you : whoIs(requester, names));
  return (
    <>
      {create_time && <Time at={create_time} />}
      {who && ` ${text.operations.by(who)}`}
    </>
  );
}
