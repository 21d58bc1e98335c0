import { useId, useState } from "preact/hooks";
import { fieldErrors } from "../api/field-errors";
import type { ApiKey, UpdateKeyRequest } from "../api/schema";
import { Button } from "../parts/button";
import { Dialog } from "../parts/dialog";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { Refusal } from "../parts/refusal";
import { type Item, TickList } from "../parts/tick-list";
import { useServers } from "../servers/queries";
import { text } from "../text";
import { areGood, readNetworks } from "./networks";
import { NetworksField } from "./networks-field";
import { useCapabilities, useUpdateKey } from "./queries";

interface Props {
  apiKey: ApiKey;
  /** `said`: what was done; empty: nothing. */
  onClose: (said?: string) => void;
}

/** Changes what a key is called and where it may be used from, and takes away what it may do. */
export function EditKey({ apiKey: key, onClose }: Props) {
  const before = key.cidrs.join("\n");
  const [label, setLabel] = useState(key.label);
  const [typed, setTyped] = useState(before);
  const [on, setOn] = useState(() => new Set(key.servers));
  const [may, setMay] = useState(() => new Set(key.capabilities));
  const catalogue = useCapabilities().data ?? [];
  const servers = useServers().data ?? [];
  const form = useId();
  const update = useUpdateKey(key.id);

  const networks = readNetworks(typed);
  const capabilities = held(key.capabilities, catalogue);
  const services = held(
    key.servers,
    servers.map(({ hostname }) => ({ id: hostname, label: hostname })),
  );
  const needsService = catalogue.find(({ id, scope }) => may.has(id) && scope === "SERVER");
  const missing = {
    servers: needsService && on.size === 0 ? text.keys.needsService(needsService.label) : "",
    capabilities: may.size === 0 ? text.keys.needsCapability : "",
  };
  const taken = {
    servers: key.servers.length - on.size,
    capabilities: key.capabilities.length - may.size,
  };
  // Only what is changed here: what somebody else changes meanwhile stays.
  const change: UpdateKeyRequest = {
    ...(label !== key.label && { label }),
    ...(typed !== before && { cidrs: networks.cidrs }),
    ...(taken.servers > 0 && { servers: [...on] }),
    ...(taken.capabilities > 0 && { capabilities: [...may] }),
  };
  const refused = fieldErrors(update.error, ["label", "cidrs", "servers", "capabilities"]);
  const ready = areGood(networks) && !missing.servers && !missing.capabilities;

  function save(event: Event): void {
    event.preventDefault();
    if (!ready || update.isPending) return;
    const names = Object.keys(change);
    if (names.length === 0) {
      onClose();
      return;
    }
    update.mutate(
      { ...change, update_mask: names.join(",") },
      { onSuccess: () => onClose(text.keys.saved(text.keys.named(label, key.id))) },
    );
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
            disabled={!ready}
            type="submit"
            form={form}
          >
            {text.keys.save}
          </Button>
        </>
      }
    >
      <form id={form} onSubmit={save}>
        <p class="muted">{text.keys.editWhat}</p>
        <Input
          label={text.keys.label}
          value={label}
          onValue={setLabel}
          error={refused.said("label")}
          input={{ placeholder: text.keys.labelExample, maxLength: 100, autocomplete: "off" }}
        />
        <TickList
          legend={text.keys.services}
          hint={text.keys.editServices}
          error={missing.servers || refused.said("servers")}
          items={services}
          ticked={on}
          onTicked={setOn}
          search={text.keys.searchHosts}
          none={text.keys.noServices}
        />
        <NetworksField typed={typed} onTyped={setTyped} errors={refused.of("cidrs")} />
        <TickList
          legend={text.keys.capabilities}
          hint={text.keys.editCapabilities}
          error={missing.capabilities || refused.said("capabilities")}
          items={capabilities}
          ticked={may}
          onTicked={setMay}
        />
        {(taken.servers > 0 || taken.capabilities > 0) && (
          <Notice kind="warning">{text.keys.takesAway(taken.capabilities, taken.servers)}</Notice>
        )}
        <Refusal error={refused.rest} />
      </form>
    </Dialog>
  );
}

/** What a key has, in front, and what else there is, which it cannot be given. */
function held(ids: string[], all: { id: string; label: string }[]): Item[] {
  const labels = new Map(all.map(({ id, label }) => [id, label]));
  const has = new Set(ids);
  return [
    ...ids.map((id) => ({ id, label: labels.get(id) ?? id })),
    ...all.filter(({ id }) => !has.has(id)).map(({ id, label }) => ({ id, label, disabled: true })),
  ];
}
