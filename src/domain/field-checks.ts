import { badInput } from '../errors.js';

/** Checks of what trainings and searches are asked for: each gives the value, or refuses it in the name of `field`. */

/** @throws BAD_USER_INPUT */
export function integer(field: string, value: number, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw badInput(field, `must be a whole number from ${least} to ${most}, not ${value}`);
  return value;
}

/** @throws BAD_USER_INPUT */
export function oneOf<T extends string>(field: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw badInput(field, `must be one of ${allowed.join(', ')}, not ${value}`);
  return value;
}
