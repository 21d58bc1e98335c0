import type { Sensor } from "../api/schema";
import { grouped } from "../parts/grouped";
import { Notice } from "../parts/notice";
import { number } from "../parts/number";
import { Time } from "../parts/time";
import { text } from "../text";
import { HealthBadge } from "./health-badge";
import type { Readings } from "./queries";

/** What the sensors of a machine read, by what they measure. */
export function Sensors({ readings }: { readings: Readings }) {
  if (readings.sensors.length === 0) return <p class="muted">{text.ipmi.noSensors}</p>;
  const types = grouped(readings.sensors, (sensor) => sensor.type || text.ipmi.otherSensors);
  return (
    <>
      {readings.past && <Notice kind="warning">{text.ipmi.sensorsLastSeen}</Notice>}
      {readings.observe_time && (
        <p class="small muted">
          {text.ipmi.read} <Time at={readings.observe_time} />
        </p>
      )}
      <div class={readings.past ? "sensors past" : "sensors"}>
        {[...types].map(([type, sensors]) => (
          <section key={type} aria-label={type}>
            <h4>{type}</h4>
            <ul class="rows">
              {sensors.map((sensor, place) => (
                // Two sensors may have one name; their order stays.
                <li key={`${sensor.name} ${place}`}>
                  <Reading sensor={sensor} />
                </li>
              ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}

function Reading({ sensor }: { sensor: Sensor }) {
  const states = sensor.states.join(", ");
  const measured = sensor.value === undefined ? "" : withUnit(sensor.value, sensor.unit);
  const limits = bounds(sensor);
  return (
    <>
      <span>
        {sensor.name}
        {limits && <span class="small muted limits">{limits}</span>}
      </span>
      <span class="reading">
        <b>{measured || states || text.ipmi.noReading}</b>
        {measured && states && <span class="small muted">{states}</span>}
        <HealthBadge health={sensor.health} />
      </span>
    </>
  );
}

function withUnit(value: number, unit: string): string {
  return unit ? `${number(value)} ${unit}` : number(value);
}

function bounds(sensor: Sensor): string {
  const set = sensor.thresholds ?? {};
  return (Object.keys(text.ipmi.bounds) as (keyof typeof text.ipmi.bounds)[])
    .flatMap((bound) => {
      const value = set[bound];
      return value === undefined
        ? []
        : [`${text.ipmi.bounds[bound]} ${withUnit(value, sensor.unit)}`];
    })
    .join(" · ");
}
