import { useState } from "preact/hooks";
import { newRequestId } from "../api/client";
import { Answered } from "../parts/answered";
import { Confirm } from "../parts/confirm";
import { Field } from "../parts/field";
import { useServers } from "../servers/queries";
import { text } from "../text";
import { useMoveIp } from "./queries";

interface Props {
  ip: string;
  /** Hostname of the server that has it. */
  from: string;
  /** Called with the name of the operation and the hostname of the other server. */
  onMoving: (operation: string, to: string) => void;
  onClose: () => void;
}

/** Asks where a failover address is to go, and moves it there. */
export function MoveDialog({ ip, from, onMoving, onClose }: Props) {
  const servers = useServers();
  const move = useMoveIp();
  // Each choice is a request of its own; the same one sent again is not.
  const [{ to, requestId }, setChoice] = useState({ to: "", requestId: "" });
  return (
    <Confirm
      title={text.ips.moveTitle(ip)}
      action={text.ips.moveAction(to)}
      busy={move.isPending}
      error={move.error}
      disabled={!to}
      onConfirm={() =>
        move.mutate(
          { ip, hostname: to, requestId },
          { onSuccess: (operation) => onMoving(operation.name, to) },
        )
      }
      onClose={onClose}
    >
      <Answered query={servers}>
        {(all) => {
          const others = all.filter(({ hostname }) => hostname !== from);
          if (others.length === 0) return <p>{text.ips.noOther}</p>;
          return (
            <Field label={text.ips.moveTo}>
              {(control) => (
                <select
                  {...control}
                  value={to}
                  onChange={(event) =>
                    setChoice({ to: event.currentTarget.value, requestId: newRequestId() })
                  }
                >
                  <option value="">{text.ips.choose}</option>
                  {others.map(({ hostname }) => (
                    <option key={hostname} value={hostname}>
                      {hostname}
                    </option>
                  ))}
                </select>
              )}
            </Field>
          );
        }}
      </Answered>
      {to && <p>{text.ips.moveLoses(ip, from, to)}</p>}
    </Confirm>
  );
}
