import { setTimeout as sleep } from 'node:timers/promises';
import { ApiError } from './client.js';

const AGAIN_AFTER_MS = 1_000;

/** Asks again while the server lacks its database: what is asked about is none the worse for it. */
export async function patiently<T>(ask: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ApiError && error.code === 'SERVICE_UNAVAILABLE')) throw error;
    }
    await sleep(AGAIN_AFTER_MS, undefined, { signal });
  }
}
