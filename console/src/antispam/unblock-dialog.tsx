import { useState } from "preact/hooks";
import { newRequestId } from "../api/client";
import { Confirm } from "../parts/confirm";
import { text } from "../text";
import { useUnblock } from "./queries";

interface Props {
  hostname: string;
  ip: string;
  /** Called with the name of the operation. */
  onStarted: (operation: string) => void;
  onClose: () => void;
}

/** Asks whether port 25 of an address is to be unblocked, and asks the API for it. */
export function UnblockDialog({ hostname, ip, onStarted, onClose }: Props) {
  const [requestId] = useState(newRequestId);
  const unblock = useUnblock(hostname, ip, requestId);
  return (
    <Confirm
      title={text.antispam.unblockTitle(ip)}
      action={text.antispam.unblock}
      busy={unblock.isPending}
      error={unblock.error}
      onConfirm={() =>
        unblock.mutate(undefined, { onSuccess: (operation) => onStarted(operation.name) })
      }
      onClose={onClose}
    >
      <p>{text.antispam.unblockExplained(ip)}</p>
    </Confirm>
  );
}
