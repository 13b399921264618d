import { badInput } from '../../errors.js';

/** Checks of single fields: each gives the value, or refuses it in the name of `field` and says what would be right. */

export function integer(value: unknown, field: string, min: number, max: number, unit = ''): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const range = `${min} to ${max.toLocaleString('en')}${unit && ` ${unit}`}`;
  throw badInput(field, `It must be a whole number from ${range}, not ${String(value)}.`);
}

export function boolean(value: unknown, field: string): boolean {
  if (typeof value === 'boolean') return value;
  throw badInput(field, `It must be true or false, not ${String(value)}.`);
}

export function oneOf<T extends string>(values: readonly T[], value: unknown, field: string): T {
  const found = values.find((known) => known === value);
  if (found !== undefined) return found;
  throw badInput(field, `It must be one of ${values.join(', ')}, not ${String(value)}.`);
}

/** A share that something is dropped by. */
export function rate(value: unknown, field: string): number {
  if (typeof value === 'number' && value >= 0 && value < 1) return value;
  throw badInput(field, `It must be at least 0 and less than 1, not ${String(value)}.`);
}

/** Up to `max`. */
export function multiplier(value: unknown, field: string, max: number): number {
  if (typeof value === 'number' && value > 0 && value <= max) return value;
  throw badInput(field, `It must be more than 0 and at most ${max}, not ${String(value)}.`);
}

/** 0 stands for none. */
export function ratio(value: unknown, field: string): number {
  if (typeof value === 'number' && (value === 0 || (value >= 1 && Number.isFinite(value)))) return value;
  throw badInput(field, `It must be 0 (none) or at least 1, not ${String(value)}.`);
}
