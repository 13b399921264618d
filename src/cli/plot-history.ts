import { createRequire } from 'node:module';
import { Resvg } from '@resvg/resvg-js';
import { scaleLinear, type ScaleLinear } from 'd3-scale';
import { line } from 'd3-shape';
import type { EpochMetrics } from './operations/runs.js';

/** Accuracy and loss over epochs, each of training and of validation, side by side: the notebook's plots. */

interface Curve {
  readonly label: string;
  readonly colour: string;
  readonly values: readonly number[];
}

interface Panel {
  readonly title: string;
  /** What the vertical axis shows at least. */
  readonly range: readonly number[];
  readonly curves: readonly Curve[];
}

const [WIDTH, HEIGHT] = [480, 360];
const MARGIN = { left: 64, right: 20, top: 60, bottom: 56 };
const HEADING = 28;
// Two of Matplotlib's colours, which are told apart by the colour-blind too.
const [BLUE, ORANGE] = ['#1f77b4', '#ff7f0e'];
/** Twice the pixels, for screens that have them. */
const SCALE = 2;

/** @param history at least one epoch */
export function plotHistory(title: string, history: readonly EpochMetrics[]): Buffer {
  const curves = (train: keyof EpochMetrics, validation: keyof EpochMetrics) => [
    { label: 'training', colour: BLUE, values: history.map((epoch) => epoch[train]) },
    { label: 'validation', colour: ORANGE, values: history.map((epoch) => epoch[validation]) },
  ];
  const epochs = history.map(({ epoch }) => epoch);
  const panels = [
    panel({ title: 'Accuracy', range: [], curves: curves('trainAccuracy', 'validationAccuracy') }, epochs),
    panel({ title: 'Loss', range: [0], curves: curves('trainLoss', 'validationLoss') }, epochs),
  ];
  return pngOf(`<svg xmlns="http://www.w3.org/2000/svg" width="${2 * WIDTH}" height="${HEIGHT + HEADING}"
      font-family="DejaVu Sans" font-size="12" fill="#222">
    <rect width="100%" height="100%" fill="white"/>
    ${text(WIDTH, HEADING - 4, title, 'font-size="15"')}
    ${panels.map((drawn, index) => `<g transform="translate(${index * WIDTH},${HEADING})">${drawn}</g>`).join('')}
  </svg>`);
}

function panel({ title, range, curves }: Panel, epochs: readonly number[]): string {
  const [first = 1, last = first] = [epochs[0], epochs.at(-1)];
  // One epoch alone is a point in the middle.
  const span = first === last ? [first - 1, last + 1] : [first, last];
  const x = scaleLinear(span, [MARGIN.left, WIDTH - MARGIN.right]);
  const values = [...range, ...curves.flatMap((curve) => curve.values)].filter(Number.isFinite);
  const y = scaleLinear([Math.min(...values), Math.max(...values)], [HEIGHT - MARGIN.bottom, MARGIN.top]).nice(6);
  return [
    text(WIDTH / 2, MARGIN.top - 36, title, 'font-size="14"'),
    verticalAxis(y, title.toLowerCase()),
    horizontalAxis(x, epochs),
    ...curves.map((curve) => drawCurve(curve, epochs, x, y)),
    legend(curves),
  ].join('');
}

type Scale = ScaleLinear<number, number>;

function horizontalAxis(x: Scale, epochs: readonly number[]): string {
  const bottom = HEIGHT - MARGIN.bottom;
  const marks = x.ticks(8).filter((tick) => epochs.includes(tick)).map((tick) =>
    stroke(x(tick), bottom, x(tick), bottom + 5) + text(x(tick), bottom + 19, String(tick)));
  const axis = stroke(MARGIN.left, bottom, WIDTH - MARGIN.right, bottom);
  return axis + marks.join('') + text(WIDTH / 2, bottom + 42, 'epoch');
}

function verticalAxis(y: Scale, label: string): string {
  const { left, right, top, bottom } = MARGIN;
  const format = y.tickFormat(6);
  const marks = y.ticks(6).map((tick) =>
    stroke(left, y(tick), WIDTH - right, y(tick), '#e4e4e4') +
    text(left - 8, y(tick) + 4, format(tick), 'text-anchor="end"'));
  const middle = (top + HEIGHT - bottom) / 2;
  const turned = text(16, middle, label, `transform="rotate(-90 16 ${middle})"`);
  return marks.join('') + stroke(left, top, left, HEIGHT - bottom) + turned;
}

function drawCurve({ colour, values }: Curve, epochs: readonly number[], x: Scale, y: Scale): string {
  const points = values.map((value, index): [number, number] => [x(epochs[index] as number), y(value)]);
  const seen = points.filter(([, height]) => Number.isFinite(height));
  const dots = seen.map(([at, height]) => `<circle cx="${at}" cy="${height}" r="2.5" fill="${colour}"/>`);
  return `<path d="${line()(seen) ?? ''}" fill="none" stroke="${colour}" stroke-width="2"/>${dots.join('')}`;
}

function legend(curves: readonly Curve[]): string {
  const entries = curves.map(({ label, colour }, index) => {
    const at = MARGIN.left + 12 + index * 100;
    const line = `<path d="M${at},${MARGIN.top - 17}h22" stroke="${colour}" stroke-width="3"/>`;
    return line + text(at + 28, MARGIN.top - 13, label, 'text-anchor="start"');
  });
  return entries.join('');
}

function stroke(x1: number, y1: number, x2: number, y2: number, colour = '#222'): string {
  return `<path d="M${x1},${y1}L${x2},${y2}" stroke="${colour}"/>`;
}

function text(x: number, y: number, words: string, attributes = ''): string {
  const anchor = attributes.includes('text-anchor') ? '' : 'text-anchor="middle"';
  return `<text x="${x}" y="${y}" ${anchor} ${attributes}>${escaped(words)}</text>`;
}

const ENTITIES: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };
const escaped = (words: string) => words.replaceAll(/[&<>"]/g, (sign) => ENTITIES[sign] as string);

/** With a font of its own: a machine without a screen often has none. */
function pngOf(svg: string): Buffer {
  const fontFile = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSans.ttf');
  const font = { fontFiles: [fontFile], loadSystemFonts: false, defaultFontFamily: 'DejaVu Sans' };
  return new Resvg(svg, { font, fitTo: { mode: 'zoom', value: SCALE } }).render().asPng();
}
