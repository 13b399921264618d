/** Numbers and times as people read them. */

export const percent = (share: number | null | undefined, digits = 1): string =>
  share == null ? '–' : `${(100 * share).toFixed(digits)} %`;

export const count = (value: number | string | null | undefined): string =>
  value == null ? '–' : Number(value).toLocaleString('en', { maximumFractionDigits: 0 });

export const decimal = (value: number | null | undefined, digits = 4): string =>
  value == null ? '–' : Number(value.toPrecision(digits)).toString();

/** 28 × 28, grey */
export const imageSize = (shape: { height: number; width: number; channels: number }): string =>
  `${shape.height} × ${shape.width}, ${shape.channels === 1 ? 'grey' : 'RGB'}`;

const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];

export function bytes(value: number | string | null | undefined): string {
  if (value == null) return '–';
  let rest = Number(value);
  let unit = 0;
  for (; rest >= 1000 && unit < BYTE_UNITS.length - 1; unit++) rest /= 1000;
  return `${rest.toFixed(unit === 0 || rest >= 100 ? 0 : 1)} ${BYTE_UNITS[unit]}`;
}

export function duration(seconds: number | null | undefined): string {
  if (seconds == null) return '–';
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3_600)} h ${Math.floor((whole % 3_600) / 60)} min`;
  return `${Math.floor(whole / 86_400)} d`;
}

/** How long ago. */
export const age = (time: string | null | undefined): string =>
  time == null ? '–' : duration(Math.max(0, (Date.now() - Date.parse(time)) / 1000));
