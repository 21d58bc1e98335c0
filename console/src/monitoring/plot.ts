/** Charts, drawn by uPlot; loaded only where there is one. */

import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { alone, type Lines } from "./lines";
import { moment, type Scale } from "./units";

const HEIGHT = 220;
const LINE = 1.75;
const POINT = 5;
/** A second line of one colour is dashed. */
const DASHES = [[], [6, 4], [2, 3]];
const TIME_AXIS_SPACE = 64;

export interface Look {
  scale: Scale;
  /** Whether the figures are parts of a whole, 0 to 1. */
  ratio: boolean;
  /** How many colours there are: --series-1 and on. */
  colours: number;
}

export interface Plot {
  setLines: (lines: Lines) => void;
  /** Which series are drawn. */
  show: (visible: boolean[]) => void;
  remove: () => void;
}

/** Draws lines into an element, as wide as that is, in the colours that the page has at the time. */
export function plot(host: HTMLElement, data: Lines, look: Look): Plot {
  const chart = new uPlot(
    {
      width: host.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { setScale: false }, points: { size: POINT } },
      scales: look.ratio ? { y: { range: [0, 1] } } : {},
      series: [
        {},
        ...data.slice(1).map((_, place) => ({
          stroke: () => colour(host, `--series-${(place % look.colours) + 1}`),
          width: LINE,
          dash: DASHES[Math.floor(place / look.colours) % DASHES.length] ?? [],
          points: {
            show: false,
            size: POINT,
            filter: (chart: uPlot, series: number) => alone(chart.data[series] ?? []),
          },
        })),
      ],
      axes: [
        {
          ...axis(host),
          space: TIME_AXIS_SPACE,
          values: (_, splits, __, ___, step) => splits.map((each) => moment(each, step)),
        },
        {
          ...axis(host),
          size: 62,
          label: look.scale.unit,
          labelSize: 20,
          labelFont: font(host),
          values: (_, splits) => splits.map((each) => short(each / look.scale.divisor)),
        },
      ],
    },
    data,
    host,
  );
  const stop = follow(host, chart);
  return {
    setLines: (lines) => chart.setData(lines),
    show: (visible) =>
      visible.forEach((show, place) => {
        chart.setSeries(place + 1, { show });
      }),
    remove: () => {
      stop();
      chart.destroy();
    },
  };
}

function axis(host: HTMLElement): uPlot.Axis {
  const line = { stroke: () => colour(host, "--line"), width: 1 };
  return { stroke: () => colour(host, "--muted"), font: font(host), grid: line, ticks: line };
}

function font(host: HTMLElement): string {
  return `12px ${getComputedStyle(host).fontFamily}`;
}

/** A colour of the page by its name, as a canvas knows it: light-dark() is none there. */
function colour(host: HTMLElement, name: string): string {
  host.style.color = `var(${name})`;
  const resolved = getComputedStyle(host).color;
  host.style.color = "";
  return resolved;
}

function short(value: number): string {
  return String(Number(value.toPrecision(6)));
}

/** Follows the width of the element and the colours of the page, until it is called off. */
function follow(host: HTMLElement, chart: uPlot): () => void {
  const width = new ResizeObserver(() =>
    chart.setSize({ width: host.clientWidth, height: HEIGHT }),
  );
  width.observe(host);
  const redraw = () => chart.redraw(false);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  const theme = new MutationObserver(redraw);
  theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return () => {
    width.disconnect();
    dark.removeEventListener("change", redraw);
    theme.disconnect();
  };
}
