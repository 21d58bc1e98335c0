import { useState } from "preact/hooks";
import { Failure } from "../api/failure";
import type { Ip, PtrForward } from "../api/schema";
import { Button } from "../parts/button";
import { Confirm } from "../parts/confirm";
import { Dialog } from "../parts/dialog";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { useDeletePtr, usePtr, useSetPtr } from "./queries";

interface Props {
  ip: Ip;
  /** Called with what was done, when there is nothing else to say. */
  onDone: (done: string) => void;
  onClose: () => void;
}

/** Sets, changes or removes the PTR record of an address. */
export function PtrDialog({ ip, onDone, onClose }: Props) {
  const there = ip.ptr_state === "PTR_SET";
  const [name, setName] = useState(ip.ptr);
  const [removing, setRemoving] = useState(false);
  const ptr = usePtr(ip.ip, there);
  const set = useSetPtr(ip.ip);
  const form = `ptr-${ip.ip}`;

  if (removing) {
    return <Remove ip={ip} onDone={onDone} onClose={onClose} />;
  }
  // What was set just now is known better than what was there before.
  const forward = set.data?.forward ?? (name === ip.ptr ? ptr.data?.forward : undefined);
  return (
    <Dialog
      title={text.ips.ptrTitle(ip.ip)}
      onClose={onClose}
      footer={
        set.data ? (
          <Button look="primary" onClick={onClose}>
            {text.close}
          </Button>
        ) : (
          <>
            {there && <Button onClick={() => setRemoving(true)}>{text.ips.remove}</Button>}
            <Button
              type="submit"
              form={form}
              look="primary"
              busy={set.isPending}
              disabled={!name.trim()}
            >
              {text.ips.save}
            </Button>
          </>
        )
      }
    >
      <p class="small muted">{text.ips.ptrExplained}</p>
      {set.data ? (
        <Notice kind="good">{text.ips.saved(ip.ip, set.data.ptr)}</Notice>
      ) : (
        <form
          id={form}
          onSubmit={(event) => {
            event.preventDefault();
            set.mutate(name.trim());
          }}
        >
          <Input
            label={text.ips.name}
            hint={text.ips.nameHint}
            error={ofName(set.error)}
            value={name}
            onValue={setName}
            input={{ class: "mono", autocomplete: "off", spellcheck: false, inputMode: "url" }}
          />
        </form>
      )}
      {forward && <Forward forward={forward} />}
      {!ofName(set.error) && <Refusal error={set.error} />}
    </Dialog>
  );
}

function Forward({ forward }: { forward: PtrForward }) {
  if (forward === "CONFIRMED") return <Notice kind="good">{text.ips.forwards[forward]}</Notice>;
  return <Notice kind="warning">{text.ips.forwards[forward]}</Notice>;
}

function Remove({ ip, onDone, onClose }: Props) {
  const remove = useDeletePtr(ip.ip);
  return (
    <Confirm
      title={text.ips.removeTitle(ip.ip)}
      action={text.ips.remove}
      busy={remove.isPending}
      error={remove.error}
      onConfirm={() =>
        remove.mutate(undefined, {
          onSuccess: () => {
            onDone(text.ips.removed(ip.ip));
            onClose();
          },
        })
      }
      onClose={onClose}
    >
      <p>{text.ips.removeExplained(ip.ptr)}</p>
    </Confirm>
  );
}

/** Reasons that are about the name itself, and so are said at its field. */
const OF_NAME = new Set(["INVALID_REQUEST", "FORWARD_NOT_CONFIRMED", "DNS_REFUSED"]);

/** What is wrong with the name, as the API says it; empty: nothing, or nothing of the name. */
function ofName(error: Error | null): string {
  if (!(error instanceof Failure) || !OF_NAME.has(error.reason)) return "";
  return error.fields[0]?.description || error.message;
}
