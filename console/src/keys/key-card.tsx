import { Pencil, RefreshCw, Trash2, TriangleAlert } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import type { ApiKey, ApiKeyState } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { Button } from "../parts/button";
import { exactTime, Time } from "../parts/time";
import { text } from "../text";
import type { CapabilityLabels } from "./queries";

/** What is to be done with a key. */
export interface Asked {
  deed: "edit" | "rotate" | "revoke";
  key: ApiKey;
}

const TONES: Record<ApiKeyState, Tone> = {
  STATE_UNSPECIFIED: "neutral",
  ACTIVE: "good",
  EXPIRED: "neutral",
  REVOKED: "bad",
};

/** How many are shown before the others have to be asked for. */
const FEW = 3;

interface Props {
  apiKey: ApiKey;
  labels: CapabilityLabels;
  /** Without it nothing can be done. */
  onAsk?: (asked: Asked) => void;
}

/** A key: what it may do, where and from where, how long, and whether it is used. */
export function KeyCard({ apiKey: key, labels, onAsk }: Props) {
  const heading = useId();
  const active = key.state === "ACTIVE";
  return (
    <li class={`card key ${active ? "" : "past"}`} aria-labelledby={heading}>
      <div>
        <div class="key-name">
          <h2 id={heading} class={key.label ? "" : "muted"}>
            {key.label || text.keys.noLabel}
          </h2>
          <Badge tone={TONES[key.state]}>{text.keys.states[key.state]}</Badge>
        </div>
        <code class="muted">{key.id}</code>
        <Rotated apiKey={key} />
        {key.warnings.length > 0 && (
          <ul class="risks">
            {key.warnings.map((warning) => (
              <li key={warning}>
                <TriangleAlert aria-hidden="true" />
                {text.keys.warnings[warning]}
              </li>
            ))}
          </ul>
        )}
      </div>
      <dl class="facts">
        <dt>{text.keys.mayDo}</dt>
        <dd>
          <Some items={key.capabilities.map((each) => labels.get(each) ?? each)} />
        </dd>
        <dt>{text.keys.onServers}</dt>
        <dd>
          <Some items={key.servers} none={text.keys.noServers} />
        </dd>
        <dt>{text.keys.fromNetworks}</dt>
        <dd>
          <Some items={key.cidrs} none={text.keys.fromAnywhere} />
        </dd>
      </dl>
      <dl class="facts">
        <dt>{text.keys.created}</dt>
        <dd>{key.create_time && <Time at={key.create_time} />}</dd>
        {!key.revoke_time && (
          <>
            <dt>{key.state === "EXPIRED" ? text.keys.expired : text.keys.expires}</dt>
            <dd>
              {key.expire_time ? (
                <>
                  <Time at={key.expire_time} />
                  <span class="small muted">{exactTime(key.expire_time)}</span>
                </>
              ) : (
                text.keys.never
              )}
            </dd>
          </>
        )}
        {key.revoke_time && (
          <>
            <dt>{text.keys.revoked}</dt>
            <dd>
              <Time at={key.revoke_time} />
            </dd>
          </>
        )}
        <dt>{text.keys.lastUsed}</dt>
        <dd>
          <LastUsed apiKey={key} />
        </dd>
      </dl>
      {active && onAsk && (
        <div class="actions">
          <Do
            icon={<Pencil aria-hidden="true" />}
            about={heading}
            onClick={() => onAsk({ deed: "edit", key })}
          >
            {text.keys.edit}
          </Do>
          {!key.replaced_by && (
            <Do
              icon={<RefreshCw aria-hidden="true" />}
              about={heading}
              onClick={() => onAsk({ deed: "rotate", key })}
            >
              {text.keys.rotate}
            </Do>
          )}
          <Do
            icon={<Trash2 aria-hidden="true" />}
            about={heading}
            onClick={() => onAsk({ deed: "revoke", key })}
          >
            {text.keys.revoke}
          </Do>
        </div>
      )}
    </li>
  );
}

interface DoProps {
  icon: ComponentChildren;
  /** The id of what names the key: every card has the same buttons. */
  about: string;
  onClick: () => void;
  children: ComponentChildren;
}

function Do({ about, ...button }: DoProps) {
  return <Button {...button} aria-describedby={about} />;
}

function Rotated({ apiKey: { replaces, replaced_by } }: { apiKey: ApiKey }) {
  return (
    <>
      {replaced_by && (
        <p class="small">
          {text.keys.replacedBy} <code>{replaced_by}</code>
        </p>
      )}
      {replaces && (
        <p class="small muted">
          {text.keys.replaces} <code>{replaces}</code>
        </p>
      )}
    </>
  );
}

function LastUsed({ apiKey: { last_used_at, last_used_ip, calls } }: { apiKey: ApiKey }) {
  if (!last_used_at) return text.keys.neverUsed;
  const sum = (counts: string[]) => counts.reduce((total, count) => total + Number(count), 0);
  const day = sum(calls.map((each) => each.last_24_hours));
  const month = sum(calls.map((each) => each.last_30_days));
  return (
    <>
      <Time at={last_used_at} /> {text.keys.from} {last_used_ip}
      <span class="small muted">{text.keys.calls(day, month)}</span>
    </>
  );
}

/** The first of a list, and the others on asking. */
function Some({ items, none }: { items: string[]; none?: string }) {
  const [open, setOpen] = useState(false);
  if (items.length === 0) return none;
  // One that stands alone takes no more room than the line that hides it.
  const few = items.length > FEW + 1 ? items.slice(0, FEW) : items;
  const others = items.slice(few.length);
  return (
    <>
      <Lines items={few} />
      {others.length > 0 && (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary>{text.keys.more(others.length)}</summary>
          {open && <Lines items={others} />}
        </details>
      )}
    </>
  );
}

function Lines({ items }: { items: string[] }) {
  return (
    <ul class="lines">
      {items.map((each) => (
        <li key={each}>{each}</li>
      ))}
    </ul>
  );
}
