import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Monitoring, Point, Series } from "../api/schema";
import { number } from "../parts/number";
import { text } from "../text";
import { lines } from "./lines";
import type { Plot } from "./plot";
import { type Scale, scaleOf } from "./units";

/** The colours --series-1 and on. */
const COLOURS = 6;

interface Props {
  monitoring: Monitoring;
  /** What is before the "/" in the names of the series. */
  kind: string;
  series: Series[];
}

/** Series of one kind: drawn, and in figures for who does not see that. */
export function Chart({ monitoring, kind, series }: Props) {
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const title = text.monitoring.kinds[kind] ?? kind;
  const unit = series[0]?.unit ?? "";
  const scale = scaleOf(unit, most(series));

  function toggle(name: string): void {
    const next = new Set(hidden);
    if (!next.delete(name)) next.add(name);
    setHidden(next);
  }

  return (
    <section class="chart" aria-label={title}>
      <h3>
        {title} <span class="small muted">{scale.unit}</span>
      </h3>
      {text.monitoring.kindHints[kind] && (
        <p class="small muted">{text.monitoring.kindHints[kind]}</p>
      )}
      <Drawing
        // A chart has as many lines as it was made with, in the scale that it was made with.
        key={`${scale.unit} ${series.map(({ name }) => name).join("\n")}`}
        label={text.monitoring.chart(title)}
        monitoring={monitoring}
        series={series}
        scale={scale}
        hidden={hidden}
      />
      <div class="table">
        <table class="figures" aria-label={text.monitoring.table(title, scale.unit)}>
          <thead>
            <tr>
              <th scope="col">{text.monitoring.series}</th>
              <th scope="col">{text.monitoring.latest}</th>
              <th scope="col">{text.monitoring.least}</th>
              <th scope="col">{text.monitoring.most}</th>
            </tr>
          </thead>
          <tbody>
            {series.map(({ name, points }, place) => (
              <tr key={name}>
                <th scope="row">
                  <Name
                    name={nameOf(name)}
                    colour={(place % COLOURS) + 1}
                    shown={!hidden.has(name)}
                    onToggle={series.length > 1 ? () => toggle(name) : null}
                  />
                </th>
                <Figure value={latest(monitoring, points)} scale={scale} />
                <Figure value={least(points)} scale={scale} />
                <Figure value={greatest(points)} scale={scale} />
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

interface NameProps {
  name: string;
  colour: number;
  shown: boolean;
  /** Null: it is always shown. */
  onToggle: (() => void) | null;
}

function Name({ name, colour, shown, onToggle }: NameProps) {
  const swatch = <span class={`swatch series-${colour}`} aria-hidden="true" />;
  if (!onToggle) {
    return (
      <span class="series">
        {swatch} {name}
      </span>
    );
  }
  return (
    <label class="series">
      <input
        type="checkbox"
        aria-label={text.monitoring.shown(name)}
        checked={shown}
        onChange={onToggle}
      />
      {swatch} {name}
    </label>
  );
}

function Figure({ value, scale }: { value: number | undefined; scale: Scale }) {
  return (
    <td>{value === undefined ? text.monitoring.unmeasured : number(value / scale.divisor)}</td>
  );
}

interface DrawingProps {
  label: string;
  monitoring: Monitoring;
  series: Series[];
  scale: Scale;
  hidden: ReadonlySet<string>;
}

function Drawing({ label, monitoring, series, scale, hidden }: DrawingProps) {
  const host = useRef<HTMLDivElement>(null);
  const [drawn, setDrawn] = useState<Plot>();
  const [failed, setFailed] = useState(false);
  const data = useMemo(() => lines(monitoring, series), [monitoring, series]);
  const newest = useRef(data);
  newest.current = data;

  useEffect(() => {
    let made: Plot | undefined;
    let gone = false;
    import("./plot").then(
      ({ plot }) => {
        if (gone || !host.current) return;
        const ratio = series[0]?.unit === "ratio";
        made = plot(host.current, newest.current, { scale, ratio, colours: COLOURS });
        setDrawn(made);
      },
      () => setFailed(true),
    );
    return () => {
      gone = true;
      made?.remove();
    };
    // Another scale or other series are another drawing, by its key.
  }, []);

  useEffect(() => drawn?.setLines(data), [drawn, data]);
  useEffect(
    () => drawn?.show(series.map(({ name }) => !hidden.has(name))),
    [drawn, series, hidden],
  );

  if (failed) return <p class="muted">{text.monitoring.chartFailed}</p>;
  return <div ref={host} class="drawing" role="img" aria-label={label} />;
}

function nameOf(name: string): string {
  return text.monitoring.seriesNames[name] ?? name.slice(name.indexOf("/") + 1);
}

function most(series: Series[]): number {
  return Math.max(0, ...series.map(({ points }) => greatest(points) ?? 0));
}

function least(points: Point[]): number | undefined {
  return points.length ? Math.min(...points.map(({ minimum }) => minimum)) : undefined;
}

function greatest(points: Point[]): number | undefined {
  return points.length ? Math.max(...points.map(({ maximum }) => maximum)) : undefined;
}

/** The last measurement; undefined: there is none of the last two steps, so none of now. */
function latest(monitoring: Monitoring, points: Point[]): number | undefined {
  const last = points.at(-1);
  if (!last?.time || !monitoring.end_time) return undefined;
  const age = (Date.parse(monitoring.end_time) - Date.parse(last.time)) / 1000;
  return age <= 3 * monitoring.step_seconds ? last.average : undefined;
}
