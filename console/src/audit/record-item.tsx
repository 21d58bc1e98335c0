import { Link } from "wouter-preact";
import type { AuditRecord } from "../api/schema";
import { Badge, type Tone } from "../parts/badge";
import { exactTime, Time } from "../parts/time";
import { text } from "../text";
import { placeOf } from "./filter";
import { methodInWords } from "./words";

const TONES: Record<AuditRecord["outcome"], Tone> = {
  OUTCOME_UNSPECIFIED: "neutral",
  ACCEPTED: "good",
  REFUSED: "warning",
  FAILED: "bad",
};

/** One thing that somebody did or was refused. */
export function RecordItem({ record, who }: { record: AuditRecord; who: string }) {
  const { time, subject, resource, address, outcome, reason, operation } = record;
  const reference = referenceOf(record);
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
        {reference && (
          <div class="small muted">
            {reference.label} <code>{reference.id}</code>
          </div>
        )}
      </div>
    </li>
  );
}

/** By what there is more to be found: the operation that went on, or what the provider's logs have. */
function referenceOf({ operation, outcome, request }: AuditRecord) {
  if (operation) return { label: text.audit.operation, id: operation.replace("operations/", "") };
  if (request && outcome !== "ACCEPTED") return { label: text.audit.request, id: request };
  return null;
}
