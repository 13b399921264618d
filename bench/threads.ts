import { availableParallelism } from 'node:os';

/** The project's figures are for two cores. */
const THREADS = 2;

/**
 * How many threads a bench computes with: what `--threads` says, otherwise two, or one on a machine that has no more.
 * @throws Error where it is no positive whole number.
 */
export function availableThreads(given: string | undefined): number {
  const threads = given === undefined ? Math.min(THREADS, availableParallelism()) : Number(given);
  if (!Number.isInteger(threads) || threads < 1) throw new Error(`--threads is a positive whole number, not ${given}`);
  return threads;
}
