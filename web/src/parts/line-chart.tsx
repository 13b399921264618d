import { useEffect, useId, useMemo, useRef } from 'react';
import uPlot, { type AlignedData, type Options } from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { decimal } from './figures';
import { useColourScheme } from './colour-scheme';

export interface Line {
  readonly label: string;
  /** As long as the chart's `x`; null where the line has no value. */
  readonly values: readonly (number | null | undefined)[];
  readonly dashed?: boolean;
  /** Behind another that says the same more clearly. */
  readonly faint?: boolean;
  /** Of the palette, by number: lines that belong together share one. */
  readonly colour?: number;
}

const HEIGHT_PX = 260;
/** So many are drawn as dots too. */
const FEW_POINTS = 40;
/** Okabe and Ito's palette, told apart with any colour vision: for light and for dark. */
const PALETTE = {
  light: ['#0072b2', '#d55e00', '#007a5a', '#a3437f', '#8a6d00', '#3b3bb3', '#7a4a1f', '#555555'],
  dark: ['#56b4e9', '#ff9a4d', '#2fd0a2', '#e79ac6', '#f0e442', '#a9a9ff', '#d8a878', '#cccccc'],
};

/** Lines over a common `x`; the newest values also stand in the text that a screen reader gets. */
export function LineChart({
  title, xLabel, yLabel, x, lines, log = false, isTime = false,
}: {
  title: string;
  xLabel: string;
  yLabel: string;
  x: readonly number[];
  lines: readonly Line[];
  log?: boolean;
  /** `x` is in seconds since 1970. */
  isTime?: boolean;
}) { // prettier-ignore
  const place = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot>(undefined);
  const scheme = useColourScheme();
  const caption = useId();
  const data = useMemo(() => [x, ...lines.map(({ values }) => values)] as unknown as AlignedData, [x, lines]);
  const shape = lines.map(({ label, dashed, colour, faint }) => `${label}|${dashed}|${colour}|${faint}`).join('\n');

  useEffect(() => {
    const target = place.current!;
    const options = chartOptions({ xLabel, yLabel, lines, log, isTime, scheme, width: target.clientWidth });
    const drawn = new uPlot(options, data, target);
    chart.current = drawn;
    const observer = new ResizeObserver(() => drawn.setSize({ width: target.clientWidth, height: HEIGHT_PX }));
    observer.observe(target);
    return () => {
      observer.disconnect();
      drawn.destroy();
    };
    // New points are given to the chart that is there; a new one is drawn where its lines or colours are others.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [shape, scheme, xLabel, yLabel, log, isTime]);
  useEffect(() => chart.current?.setData(data), [data]);

  return (
    <figure className="chart" role="group" aria-labelledby={caption}>
      <figcaption id={caption}>
        {title} <span className="for-screen-readers">{`${x.length} points. ${summary(lines)}`}</span>
      </figcaption>
      <div ref={place} aria-hidden="true" />
    </figure>
  );
}

const CHARACTER_PX = 6.6;

/** Beside the axis, for the longest of its labels. */
const tickSpace = (_: uPlot, labels: string[] | null) =>
  22 + CHARACTER_PX * Math.max(3, ...(labels ?? []).map(({ length }) => length));

/** By the 24-hour clock. */
const TIMES = (_: uPlot, ticks: number[]) => ticks.map((tick) => new Date(tick * 1000).toLocaleTimeString('en-GB'));
const tickLabel = (tick: number | null) => (tick == null ? '' : decimal(tick));

const summary = (lines: readonly Line[]): string =>
  lines.map(({ label, values }) => `${label}: ${decimal(values.findLast((value) => value != null))}`).join(', ');

function chartOptions({ xLabel, yLabel, lines, log, isTime, scheme, width }: {
  xLabel: string;
  yLabel: string;
  lines: readonly Line[];
  log: boolean;
  isTime: boolean;
  scheme: 'light' | 'dark';
  width: number;
}): Options { // prettier-ignore
  const stroke = scheme === 'dark' ? '#b8c0cc' : '#4a5260';
  const grid = { stroke: scheme === 'dark' ? '#2c333d' : '#e4e7ec', width: 1 };
  const axis = { stroke, grid, ticks: grid, labelSize: 20, font: '12px system-ui', labelFont: '12px system-ui' };
  return {
    width,
    height: HEIGHT_PX,
    scales: { x: { time: isTime }, y: { distr: log ? 3 : 1 } },
    axes: [
      { ...axis, label: xLabel, ...(isTime && { values: TIMES, space: 80 }) },
      { ...axis, label: yLabel, size: tickSpace, values: (_, ticks) => ticks.map(tickLabel) },
    ],
    series: [
      { label: xLabel, ...(isTime && { value: '{HH}:{mm}:{ss}' }) },
      ...lines.map(({ label, dashed, colour, faint }, number) => ({
        label,
        stroke: PALETTE[scheme][(colour ?? number) % PALETTE[scheme].length]!,
        width: faint ? 1 : 2,
        ...(faint && { alpha: 0.4 }),
        ...(dashed && { dash: [6, 4] }),
        spanGaps: true,
        points: { show: (chart: uPlot) => chart.data[0].length < FEW_POINTS, size: 5 },
        value: (_: uPlot, value: number | null) => decimal(value),
      })),
    ],
  };
}
