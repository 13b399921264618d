import { setTimeout as sleep } from 'node:timers/promises';
import { isOutage } from '../errors.js';

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5_000;

/**
 * Does `work`, again and again for as long as a server is away, with growing delays.
 * @throws any other error of `work`; `signal.reason` once that is aborted.
 */
export async function retryOutage<T>(
  work: () => Promise<T>,
  signal: AbortSignal,
  onOutage: (error: unknown) => void = () => undefined,
): Promise<T> {
  for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_DELAY_MS)) {
    try {
      return await work();
    } catch (error) {
      if (!isOutage(error)) throw error;
      onOutage(error);
    }
    await sleep(delayMs, undefined, { signal }).catch(() => undefined);
    signal.throwIfAborted();
  }
}
