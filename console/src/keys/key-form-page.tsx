import { useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "wouter-preact";
import { newRequestId } from "../api/client";
import { fieldErrors } from "../api/field-errors";
import type { CapabilityInfo, CreateKeyRequest, Server } from "../api/schema";
import { Answered } from "../parts/answered";
import { Button } from "../parts/button";
import { Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { TickList } from "../parts/tick-list";
import { useServers } from "../servers/queries";
import { useMayChange } from "../session/session";
import { Page } from "../shell/page";
import { text } from "../text";
import { DEFAULT, endOf, isPossible } from "./expiry";
import { ExpiryField } from "./expiry-field";
import { areGood, readNetworks } from "./networks";
import { NetworksField } from "./networks-field";
import { NotMade } from "./not-made";
import { type Lost, useCapabilities, useCreateKey } from "./queries";
import type { Made } from "./secret-page";

/** What a key has to hold to see how far an operation is. */
const FOLLOWING = "server.details";

/** What begins operations. Whoever asks for a reboot wants to know whether it was one. */
const FOLLOWED = new Set([
  "server.reboot",
  "server.power",
  "rescue.enter",
  "rescue.exit",
  "install.start",
  "ip.manage",
]);

const FIELDS = ["label", "servers", "cidrs", "capabilities", "expire_time", "no_expiry"];

/** The form "Generate API key". */
export function KeyFormPage({ onMade }: { onMade: (made: Made | Lost) => void }) {
  const servers = useServers();
  const catalogue = useCapabilities();
  return (
    <Page title={text.keys.generate}>
      {useMayChange() ? (
        <Answered query={catalogue}>
          {(capabilities) => (
            <Answered query={servers}>
              {(all) => <KeyForm servers={all} capabilities={capabilities} onMade={onMade} />}
            </Answered>
          )}
        </Answered>
      ) : (
        <Notice kind="info">{text.keys.mayNot}</Notice>
      )}
    </Page>
  );
}

interface Props {
  servers: Server[];
  capabilities: CapabilityInfo[];
  onMade: (made: Made | Lost) => void;
}

function KeyForm({ servers, capabilities, onMade }: Props) {
  const [label, setLabel] = useState("");
  // With one server there is nothing to choose.
  const [on, setOn] = useState(
    () => new Set(servers.length === 1 ? servers.map(({ hostname }) => hostname) : []),
  );
  const [typed, setTyped] = useState("");
  const [may, setMay] = useState(() => new Set<string>());
  const [expiry, setExpiry] = useState(DEFAULT);
  // How often it was tried to create: what is missing is said from the first time on.
  const [tries, setTries] = useState(0);
  const form = useRef<HTMLFormElement>(null);
  const sending = useRef(false);
  // The form makes one key, however often it is sent.
  const [requestId] = useState(newRequestId);
  const create = useCreateKey(requestId);
  const [, navigate] = useLocation();

  const networks = readNetworks(typed);
  const needsService = capabilities.find(({ id, scope }) => may.has(id) && scope === "SERVER");
  const missing = {
    servers: needsService && on.size === 0 ? text.keys.needsService(needsService.label) : "",
    capabilities: may.size === 0 ? text.keys.needsCapability : "",
    expiry: isPossible(expiry, Date.now()) ? "" : text.keys.lastDayWrong,
  };
  const refused = fieldErrors(create.error, FIELDS);
  const details = capabilities.find(({ id }) => id === FOLLOWING);
  const unfollowed = capabilities.find(({ id }) => FOLLOWED.has(id) && may.has(id));

  useEffect(() => {
    if (tries > 0) focusFirstWrong(form.current);
  }, [tries]);
  useEffect(() => {
    if (create.error) focusFirstWrong(form.current);
  }, [create.error]);

  /** A field that is changed is no longer what was refused. */
  function changed<Value>(set: (value: Value) => void): (value: Value) => void {
    return (value) => {
      if (create.isError) create.reset();
      set(value);
    };
  }

  function submit(event: Event): void {
    event.preventDefault();
    setTries(tries + 1);
    if (sending.current || Object.values(missing).some(Boolean) || !areGood(networks)) return;
    // Before the button shows it: a double click makes one key.
    sending.current = true;
    const end = endOf(expiry, Date.now());
    const body: CreateKeyRequest = {
      label,
      servers: servers.map(({ hostname }) => hostname).filter((each) => on.has(each)),
      capabilities: [...may],
      cidrs: networks.cidrs,
      ...(end ? { expire_time: end.toISOString() } : { no_expiry: true }),
    };
    create.mutate(body, {
      onSuccess: onMade,
      onSettled: () => {
        sending.current = false;
      },
    });
  }

  return (
    <form ref={form} class="key-form" onSubmit={submit} noValidate>
      <Input
        label={text.keys.label}
        value={label}
        onValue={changed(setLabel)}
        error={refused.said("label")}
        input={{ placeholder: text.keys.labelExample, maxLength: 100, autocomplete: "off" }}
      />
      <TickList
        legend={text.keys.services}
        hint={text.keys.servicesHint}
        error={missing.servers || refused.said("servers")}
        items={servers.map(({ hostname, ips, datacenter }) => ({
          id: hostname,
          label: text.keys.service(hostname, ips[0] ?? "", datacenter),
        }))}
        ticked={on}
        onTicked={changed(setOn)}
        search={text.keys.searchServices}
        none={text.keys.noServices}
      />
      <NetworksField typed={typed} onTyped={changed(setTyped)} errors={refused.of("cidrs")} />
      <div class="capabilities">
        <TickList
          legend={text.keys.capabilities}
          hint={text.keys.capabilitiesHint}
          error={(tries > 0 && missing.capabilities) || refused.said("capabilities")}
          items={capabilities}
          ticked={may}
          onTicked={changed(setMay)}
        />
        {details && unfollowed && !may.has(FOLLOWING) && (
          <Notice kind="info">
            <p>{text.keys.cannotFollow(unfollowed.label, details.label)}</p>
            <Button onClick={() => setMay(new Set([...may, FOLLOWING]))}>
              {text.keys.tickAsWell}
            </Button>
          </Notice>
        )}
      </div>
      <ExpiryField
        expiry={expiry}
        onExpiry={changed(setExpiry)}
        error={(tries > 0 && missing.expiry) || refused.said("expire_time", "no_expiry")}
      />
      <NotMade error={create.error} rest={refused.rest} unsure={create.unsure} />
      <div class="actions">
        <Button onClick={() => navigate("/keys")}>{text.cancel}</Button>
        <Button type="submit" look="primary" busy={create.isPending}>
          {text.keys.create}
        </Button>
      </div>
    </form>
  );
}

function focusFirstWrong(form: HTMLFormElement | null): void {
  const wrong = form?.querySelector<HTMLElement>("[aria-invalid=true]");
  const control =
    wrong instanceof HTMLFieldSetElement
      ? wrong.querySelector<HTMLElement>("[type=checkbox]")
      : wrong;
  control?.focus();
}
