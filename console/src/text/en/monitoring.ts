import type { GetMonitoringRequestPeriod } from "../../api/schema";

export const title = "Monitoring";
export const period = "How far back";
export const periods = {
  HOUR: "Hour",
  DAY: "Day",
  WEEK: "Week",
  MONTH: "30 days",
  YEAR: "Year",
} satisfies Partial<Record<GetMonitoringRequestPeriod, string>>;
export const steps: Record<keyof typeof periods, string> = {
  HOUR: "A point a minute.",
  DAY: "A point every 5 minutes.",
  WEEK: "A point an hour.",
  MONTH: "A point an hour.",
  YEAR: "A point a day.",
};

/** By the part of a series' name before the "/". */
export const kinds: Record<string, string> = {
  power: "Power",
  reachability: "Reachability",
  temperature: "Temperature",
  fan: "Fans",
  power_draw: "Power draw",
  traffic: "Traffic",
};
export const kindHints: Record<string, string> = {
  power: "How much of the time the machine had power, as its BMC saw it.",
  reachability: "How much of the time the primary address answered.",
  traffic: "As seen from the server.",
};
/** Of a series whose name has no second part, or one that says little. */
export const seriesNames: Record<string, string> = {
  power: "on",
  "reachability/icmp": "ping (ICMP echo)",
  "reachability/tcp": "TCP connection",
  "traffic/in": "in",
  "traffic/out": "out",
};

export const nothing = "Nothing was measured in this time.";
export const without = (kinds: string) => `Nothing was measured of: ${kinds}.`;
export const newest = "Newest measurement";
export const gaps = "Where a line has a gap, nothing was measured.";
export const chart = (kind: string) => `Chart: ${kind}. The table after it has its figures.`;
export const table = (kind: string, unit: string) => `Figures: ${kind}, in ${unit}`;
export const chartFailed = "The chart could not be loaded; its figures are below.";
export const series = "Series";
export const shown = (name: string) => `Show ${name} in the chart`;
export const latest = "Latest";
export const least = "Least";
export const most = "Most";
export const unmeasured = "none";
export const percent = "%";
