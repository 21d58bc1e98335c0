import { useState } from "preact/hooks";
import { fieldErrors } from "../api/field-errors";
import type { ApiKey } from "../api/schema";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Input } from "../parts/field";
import { Refusal } from "../parts/refusal";
import { text } from "../text";
import { areGood, readNetworks } from "./networks";
import { NetworksField } from "./networks-field";
import { useUpdateKey } from "./queries";

interface Props {
  apiKey: ApiKey;
  /** `said`: what was done; empty: nothing. */
  onClose: (said?: string) => void;
}

/** Changes what a key is called, and where it may be used from. */
export function EditKey({ apiKey: key, onClose }: Props) {
  const [label, setLabel] = useState(key.label);
  const [typed, setTyped] = useState(key.cidrs.join("\n"));
  const update = useUpdateKey(key.id);
  const refused = fieldErrors(update.error, ["label", "cidrs"]);
  const networks = readNetworks(typed);

  function save(): void {
    const body = { label, cidrs: networks.cidrs, update_mask: "label,cidrs" };
    update.mutate(body, {
      onSuccess: () => onClose(text.keys.saved(text.keys.named(label, key.id))),
    });
  }

  return (
    <Dialog
      title={text.keys.editTitle(text.keys.named(key.label, key.id))}
      onClose={() => onClose()}
      footer={
        <>
          <Button onClick={() => onClose()}>{text.cancel}</Button>
          <Button
            look="primary"
            busy={update.isPending}
            disabled={!areGood(networks)}
            onClick={save}
          >
            {text.keys.save}
          </Button>
        </>
      }
    >
      <p class="muted">{text.keys.editWhat}</p>
      <Input
        label={text.keys.label}
        value={label}
        onValue={setLabel}
        error={refused.said("label")}
        input={{ placeholder: text.keys.labelExample, maxLength: 100, autocomplete: "off" }}
      />
      <NetworksField typed={typed} onTyped={setTyped} errors={refused.of("cidrs")} />
      <Refusal error={refused.rest} />
    </Dialog>
  );
}
