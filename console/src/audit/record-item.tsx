import { Link } from "wouter-preact";
import type { AuditRecord } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { exactTime, Time } from "../parts/time";
import { text } from "../text";
import { placeOf } from "./filter";
import { detailsInWords, methodInWords } from "./words";

const TONES: Record<AuditRecord["outcome"], Tone> = {
  OUTCOME_UNSPECIFIED: "neutral",
  ACCEPTED: "good",
  REFUSED: "warning",
  FAILED: "bad",
};

/** One thing that somebody did or was refused. */
export function RecordItem({ record, who }: { record: AuditRecord; who: string }) {
  const { time, subject, resource, address, outcome, reason, operation } = record;
  const details = detailsInWords(record);
  return (
    <li class="record">
      <div class="record-time small muted">
        {time && (
          <>
            {exactTime(time)}
            <br />
            <Time at={time} />
          </>
        )}
      </div>
      <div>
        <b>{methodInWords(record.method)}</b>
        {resource && (
          <>
            {" · "}
            <Link href={placeOf({ resource })} title={text.audit.onlyThis(resource)}>
              {resource}
            </Link>
          </>
        )}
        {details.length > 0 && (
          // Each in an element of its own: others wrote the values, and none is to pass for two.
          <dl class="small record-details">
            {details.map(([name, value]) => (
              <div key={name}>
                <dt class="muted">{name}</dt> <dd>{value}</dd>
              </div>
            ))}
          </dl>
        )}
        <div class="small muted">
          {subject ? (
            <Link href={placeOf({ subject })} title={text.audit.onlyThis(subject)}>
              {who}
            </Link>
          ) : (
            who
          )}{" "}
          {address && text.audit.fromAddress(address)}
        </div>
      </div>
      <div class="record-outcome">
        <Badge tone={TONES[outcome]}>
          {operation && outcome === "ACCEPTED" ? text.audit.accepted : text.audit.outcomes[outcome]}
        </Badge>{" "}
        {reason && <code class="small">{reason}</code>}
        <Reference record={record} />
      </div>
    </li>
  );
}

/** By what there is more to be found: the operation that went on, or what the provider's logs have. */
function Reference({ record: { operation, outcome, request } }: { record: AuditRecord }) {
  if (operation) {
    const id = operation.slice(operation.lastIndexOf("/") + 1);
    return (
      <div class="small muted">
        {text.audit.operation}{" "}
        <Link href={`/${operation}`} title={text.audit.showOperation(id)}>
          <code>{id}</code>
        </Link>
      </div>
    );
  }
  if (!request || outcome === "ACCEPTED") return null;
  return (
    <div class="small muted">
      {text.audit.request} <code>{request}</code>
    </div>
  );
}
