/** Series as a chart draws them. */

import type { Monitoring, Series } from "../api/schema";

/** Seconds since 1970, and for each series its value then; null: nothing was measured. */
export type Lines = [number[], ...(number | null)[][]];

/** The series on every step of the time that was asked for, so that a gap is one. */
export function lines(of: Monitoring, series: Series[]): Lines {
  const start = seconds(of.start_time);
  const count = Math.round((seconds(of.end_time) - start) / of.step_seconds);
  const times = Array.from({ length: count }, (_, slot) => start + slot * of.step_seconds);
  const values = series.map(({ points }) => {
    const line: (number | null)[] = Array(count).fill(null);
    for (const point of points) {
      line[Math.round((seconds(point.time) - start) / of.step_seconds)] = point.average;
    }
    return line;
  });
  return [times, ...values];
}

/** Which values have none before and none after them: a line cannot show them. */
export function alone(line: ArrayLike<number | null | undefined>): number[] {
  return Array.from(line, (value, slot) =>
    value != null && line[slot - 1] == null && line[slot + 1] == null ? slot : -1,
  ).filter((slot) => slot >= 0);
}

function seconds(time: string | undefined): number {
  return Date.parse(time ?? "") / 1000;
}
