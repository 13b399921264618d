/** What benches do with the numbers that they measured. */

/** The upper one of the two in the middle where their number is even. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

export const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;

export function rounded(value: number, digits = 2): number {
  return Number(value.toFixed(digits));
}

/** What the process took of memory at its peak. */
export const peakBytes = () => process.resourceUsage().maxRSS * 1024;

export type Row = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** The rows as docs/performance.md has them, a column for each field of the first row. */
export function markdownTable(rows: readonly Row[]): string {
  const columns = Object.keys(rows[0] ?? {});
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  const cell = (value: Row[string]) =>
    typeof value === 'number' ? value.toLocaleString('en-US') : String(value ?? '');
  return [
    line(columns),
    `|${columns.map(() => '---|').join('')}`,
    ...rows.map((row) => line(columns.map((column) => cell(row[column])))),
  ].join('\n');
}

/** Tells a person how far a long bench is; stdout is the result's. */
export const tell = (line: string) => void process.stderr.write(`${line}\n`);
