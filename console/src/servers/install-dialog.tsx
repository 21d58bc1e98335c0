import { useState } from "preact/hooks";
import { answer, api } from "../api/client";
import type { InstallTemplate, StartInstallRequest } from "../api/schema";
import { Answered } from "../parts/answered";
import { Field, Input } from "../parts/field";
import { Notice } from "../parts/notice";
import { text } from "../text";
import { ActionDialog, type ActionProps } from "./action-dialog";
import { useTemplates } from "./queries";
import { holdsPrivateKey, keysIn, SshKeysField } from "./ssh-keys";

/** Asks before a server is installed anew: its hostname has to be typed, since its disks are lost. */
export function InstallDialog(action: ActionProps) {
  const { hostname } = action;
  const templates = useTemplates();
  const [template, setTemplate] = useState("");
  const [layout, setLayout] = useState("");
  const [osHostname, setOsHostname] = useState("");
  const [keys, setKeys] = useState("");
  const [typed, setTyped] = useState("");
  const body: StartInstallRequest = {
    template,
    layout,
    os_hostname: osHostname.trim(),
    ssh_keys: keysIn(keys),
    confirm_hostname: typed.trim(),
  };
  return (
    <ActionDialog
      {...action}
      title={text.servers.installQuestion(hostname)}
      action={text.servers.install}
      ready={template !== "" && typed.trim() === hostname && !holdsPrivateKey(keys)}
      send={(init) => answer(api.POST("/servers/{hostname}/install", { ...init, body }))}
    >
      <Answered query={templates}>
        {(all) =>
          all.length === 0 ? (
            <p>{text.servers.noTemplates}</p>
          ) : (
            <>
              <Notice kind="warning">{text.servers.installLoses(hostname)}</Notice>
              <TemplateField
                templates={all}
                chosen={template}
                onChosen={(name) => {
                  setTemplate(name);
                  setLayout("");
                }}
              />
              <LayoutField
                layouts={all.find(({ name }) => name === template)?.layouts ?? []}
                chosen={layout}
                onChosen={setLayout}
              />
              <Input
                label={text.servers.osHostname}
                hint={text.servers.osHostnameHint(hostname)}
                value={osHostname}
                onValue={setOsHostname}
                input={{ autocomplete: "off", spellcheck: false, maxLength: 253 }}
              />
              <SshKeysField hint={text.servers.installKeysHint} value={keys} onValue={setKeys} />
              <Input
                label={text.servers.confirmHostname(hostname)}
                value={typed}
                onValue={setTyped}
                input={{ autocomplete: "off", spellcheck: false, autocapitalize: "off" }}
              />
            </>
          )
        }
      </Answered>
    </ActionDialog>
  );
}

interface TemplateFieldProps {
  templates: InstallTemplate[];
  chosen: string;
  onChosen: (name: string) => void;
}

function TemplateField({ templates, chosen, onChosen }: TemplateFieldProps) {
  return (
    <Field label={text.servers.template}>
      {(control) => (
        <select
          {...control}
          value={chosen}
          onChange={(event) => onChosen(event.currentTarget.value)}
        >
          <option value="">{text.servers.choose}</option>
          {templates.map(({ name, os, version }) => (
            <option key={name} value={name}>
              {os} {version} ({name})
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface LayoutFieldProps {
  layouts: InstallTemplate["layouts"];
  chosen: string;
  onChosen: (name: string) => void;
}

/** How the disks are divided, where there is a choice; the first one is the template's own. */
function LayoutField({ layouts, chosen, onChosen }: LayoutFieldProps) {
  if (layouts.length < 2) return null;
  return (
    <Field label={text.servers.layout}>
      {(control) => (
        <select
          {...control}
          value={chosen || layouts[0]?.name}
          onChange={(event) => onChosen(event.currentTarget.value)}
        >
          {layouts.map(({ name, description }) => (
            <option key={name} value={name}>
              {description ? `${name}: ${description}` : name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
