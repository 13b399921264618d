import Table from 'cli-table3';
import type { ClassMetrics } from './operations/runs.js';

type Cell = string | number;

const PLAIN = { head: [], border: [], compact: true };

export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const drawn = new Table({ head: [...head], style: PLAIN });
  drawn.push(...rows.map((row) => [...row]));
  return drawn.toString();
}

/** A line for each, its name before it. */
export function facts(lines: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...lines.map(([name]) => name.length)) + 2;
  return lines.map(([name, value]) => `${name.padEnd(width)}${value}`).join('\n');
}

export function classTable(classes: readonly ClassMetrics[]): string {
  const rows = classes.map(({ className, precision, recall, f1, support }) =>
    [className, precision.toFixed(3), recall.toFixed(3), f1.toFixed(3), support]);
  return table(['class', 'precision', 'recall', 'F1', 'images'], rows);
}

/** 1234567 -> 1,234,567 */
export const grouped = (value: number): string => Number(value).toLocaleString('en');

/** Bytes, by powers of 1024. */
export function byteSize(bytes: number): string {
  const power = Math.min(4, Math.max(0, Math.floor(Math.log2(Math.max(1, bytes)) / 10)));
  return `${(bytes / 1024 ** power).toFixed(power === 0 ? 0 : 1)} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][power]}`;
}

/** To the minute, in UTC. */
export const moment = (at: string | null): string => (at === null ? '' : at.slice(0, 16).replace('T', ' '));

export const shapeText = ({ height, width, channels }: { height: number; width: number; channels: number }): string =>
  `${height}x${width}x${channels}`;

export const four = (value: number | undefined): string => (value === undefined ? '' : value.toFixed(4));
