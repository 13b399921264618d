import { setTimeout as sleep } from 'node:timers/promises';

/** Lets a reader sleep until there is news. */
export interface Bell {
  /** Resolves with the first news since the last call, after `milliseconds`, or when `signal` is aborted. */
  next(milliseconds: number, signal: AbortSignal): Promise<void>;
}

/** Rings for each item of `news`, until that ends. */
export function ringOn(news: AsyncIterable<unknown>): Bell {
  let rung = false;
  let waiting = new AbortController();
  const listen = async () => {
    for await (const _ of news) {
      rung = true;
      waiting.abort();
    }
  };
  void listen();
  return {
    async next(milliseconds, signal) {
      if (!rung)
        await sleep(milliseconds, undefined, { signal: AbortSignal.any([signal, waiting.signal]) }).catch(
          () => undefined,
        );
      rung = false;
      waiting = new AbortController();
    },
  };
}
