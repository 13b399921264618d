/**
 * Ends its source as soon as the subscriber leaves, even while the source waits for its next value: a generator alone
 * would notice only with that value. `check` runs before each value is handed on and ends the source by throwing.
 */
export function abortable<T>(
  check: () => Promise<unknown>,
  start: (signal: AbortSignal) => AsyncIterable<T>,
): AsyncIterableIterator<T> {
  const leaving = new AbortController();
  const source = start(leaving.signal)[Symbol.asyncIterator]();
  const leave = async (): Promise<IteratorReturnResult<undefined>> => {
    leaving.abort();
    await source.return?.();
    return { done: true, value: undefined };
  };
  return {
    next: async () => {
      try {
        const next = await source.next();
        await check();
        return next;
      } catch (error) {
        await leave();
        throw error;
      }
    },
    return: leave,
    throw: leave,
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
