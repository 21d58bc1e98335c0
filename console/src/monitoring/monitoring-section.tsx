import { keepPreviousData, useQuery } from "@tanstack/preact-query";
import { useMemo, useState } from "preact/hooks";
import { answer, api } from "../api/client";
import type { Monitoring } from "../api/schema";
import { Answered } from "../parts/answered";
import { grouped } from "../parts/grouped";
import { Refresh } from "../parts/refresh";
import { Section } from "../parts/section";
import { Time } from "../parts/time";
import { text } from "../text";
import { Chart } from "./chart";

type Period = keyof typeof text.monitoring.periods;

const PERIODS = Object.keys(text.monitoring.periods) as Period[];
/** Of a period the newest point changes so often. */
const INTERVALS_MS: Record<Period, number> = {
  HOUR: 60_000,
  DAY: 300_000,
  WEEK: 600_000,
  MONTH: 600_000,
  YEAR: 600_000,
};

/** What was measured of a server, over time. */
export function MonitoringSection({ hostname }: { hostname: string }) {
  const [period, setPeriod] = useState<Period>("HOUR");
  const monitoring = useQuery({
    queryKey: ["monitoring", hostname, period],
    refetchInterval: INTERVALS_MS[period],
    placeholderData: keepPreviousData,
    queryFn: ({ signal }) =>
      answer(
        api.GET("/servers/{hostname}/monitoring", {
          params: { path: { hostname }, query: { period } },
          signal,
        }),
      ),
  });
  return (
    <Section
      title={text.monitoring.title}
      actions={
        <Refresh
          what={text.monitoring.title}
          busy={monitoring.isFetching}
          onRefresh={() => void monitoring.refetch()}
        />
      }
    >
      <fieldset class="periods">
        <legend class="offscreen">{text.monitoring.period}</legend>
        {PERIODS.map((each) => (
          <label key={each} class="period">
            <input
              type="radio"
              name="period"
              class="offscreen"
              checked={each === period}
              onChange={() => setPeriod(each)}
            />
            <span>{text.monitoring.periods[each]}</span>
          </label>
        ))}
      </fieldset>
      <Answered query={monitoring}>
        {(measured) => <Measured monitoring={measured} period={period} />}
      </Answered>
    </Section>
  );
}

function Measured({ monitoring, period }: { monitoring: Monitoring; period: Period }) {
  const kinds = useMemo(
    () =>
      grouped(
        monitoring.series.filter(({ points }) => points.length > 0),
        ({ name }) => name.split("/")[0] ?? name,
      ),
    [monitoring],
  );
  const known = Object.entries(text.monitoring.kinds);
  const missing = known.filter(([kind]) => !kinds.has(kind)).map(([, title]) => title);
  if (kinds.size === 0) return <p class="muted">{text.monitoring.nothing}</p>;
  return (
    <>
      <p class="small muted">
        {text.monitoring.steps[period]} {text.monitoring.gaps}{" "}
        {monitoring.newest_time && (
          <>
            {text.monitoring.newest}: <Time at={monitoring.newest_time} />.
          </>
        )}
      </p>
      <div class="charts">
        {[...kinds].map(([kind, series]) => (
          <Chart key={kind} monitoring={monitoring} kind={kind} series={series} />
        ))}
      </div>
      {missing.length > 0 && (
        <p class="small muted">{text.monitoring.without(missing.join(", "))}</p>
      )}
    </>
  );
}
