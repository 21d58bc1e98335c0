import type { ApiKey } from "../api/schema";
import { Confirm } from "../parts/confirm";
import { Time } from "../parts/time";
import { text } from "../text";
import { useRevokeKey } from "./queries";

interface Props {
  apiKey: ApiKey;
  /** `said`: what was done; empty: nothing. */
  onClose: (said?: string) => void;
}

/** Asks before a key is revoked. */
export function RevokeKey({ apiKey: key, onClose }: Props) {
  const revoke = useRevokeKey(key.id);
  const name = text.keys.named(key.label, key.id);
  return (
    <Confirm
      title={text.keys.revokeTitle(name)}
      action={text.keys.revokeAction}
      busy={revoke.isPending}
      error={revoke.error}
      onConfirm={() =>
        revoke.mutate(undefined, { onSuccess: () => onClose(text.keys.revokedNow(name)) })
      }
      onClose={() => onClose()}
    >
      <p>{text.keys.revokeWhat}</p>
      <p>
        {key.last_used_at ? (
          <>
            {text.keys.revokeUsed} <Time at={key.last_used_at} /> {text.keys.from}{" "}
            {key.last_used_ip}.
          </>
        ) : (
          text.keys.revokeUnused
        )}
      </p>
    </Confirm>
  );
}
