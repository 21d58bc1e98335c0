import { useState } from "preact/hooks";
import type { IpmiEvent } from "../api/schema";
import { Answered } from "../parts/answered";
import { Badge } from "../parts/badge";
import { Button } from "../parts/button";
import { number } from "../parts/number";
import { Pager } from "../parts/pager";
import { Refresh } from "../parts/refresh";
import { exactTime } from "../parts/time";
import { text } from "../text";
import { HealthBadge } from "./health-badge";
import { type EventLog, useEvents } from "./queries";

const PAGE = 20;
/** Of a clock that is off by less nobody needs to know. */
const NOTABLE_SECONDS = 60;

/** The event log of the BMC, once somebody wants to see it. */
export function Events({ hostname }: { hostname: string }) {
  const [wanted, setWanted] = useState(false);
  const { query, progress } = useEvents(hostname, wanted);
  return (
    <>
      <div class="section-head">
        <h3>{text.ipmi.events}</h3>
        {wanted && (
          <Refresh
            what={text.ipmi.events}
            busy={query.isFetching}
            onRefresh={() => void query.refetch()}
          />
        )}
      </div>
      {!wanted && (
        <>
          <p class="small muted">{text.ipmi.eventsHint}</p>
          <Button onClick={() => setWanted(true)}>{text.ipmi.readEvents}</Button>
        </>
      )}
      {query.isFetching && (
        <p class="small muted" role="status">
          {text.ipmi.readingEvents(progress.done, progress.total)}
        </p>
      )}
      {(query.isError || query.data) && (
        <Answered query={query}>{(log) => <Log log={log} />}</Answered>
      )}
    </>
  );
}

function Log({ log }: { log: EventLog }) {
  const [page, setPage] = useState(0);
  const { events, clockOffset } = log;
  if (events.length === 0) return <p class="muted">{text.ipmi.noEvents}</p>;
  const before = Math.min(page * PAGE, events.length - 1);
  const shown = events.slice(before, before + PAGE);
  return (
    <>
      <Clock offset={clockOffset} />
      <ol class="rows" aria-label={text.ipmi.events}>
        {shown.map((event) => (
          <li key={event.record}>
            <Event event={event} />
          </li>
        ))}
      </ol>
      <Pager
        label={text.ipmi.eventPages}
        before={before}
        here={shown.length}
        total={events.length}
        onPrevious={() => setPage(page - 1)}
        onNext={before + PAGE < events.length ? () => setPage(page + 1) : null}
      />
    </>
  );
}

function Event({ event }: { event: IpmiEvent }) {
  const source = [event.type, event.sensor].filter(Boolean).join(" · ");
  return (
    <>
      <span class="row-text">
        {event.text} {!event.asserted && <Badge tone="neutral">{text.ipmi.ended}</Badge>}
        <span class="small muted limits">{source}</span>
      </span>
      <span class="small muted">{event.time ? exactTime(event.time) : text.ipmi.timeUnknown}</span>
      <HealthBadge health={event.health} />
    </>
  );
}

function Clock({ offset }: { offset: number | null }) {
  if (offset === null) return <p class="small muted">{text.ipmi.clockUnset}</p>;
  if (Math.abs(offset) < NOTABLE_SECONDS) return null;
  const seconds = number(Math.abs(Math.round(offset)));
  const words = offset > 0 ? text.ipmi.ahead(seconds) : text.ipmi.behind(seconds);
  return <p class="small muted">{text.ipmi.clockOff(words)}</p>;
}
