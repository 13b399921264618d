import { unavailable } from '../errors.js';

/**
 * Gives work up once its time is over, or its client is gone.
 * @throws SERVICE_UNAVAILABLE where the time is over
 */
export async function withinDeadline<T>(
  deadlineMs: number,
  gone: AbortSignal,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(unavailable(`no answer within ${deadlineMs} ms`)), deadlineMs);
  // What does not look at its signal, such as a load that others wait for, goes on without us.
  const over = new Promise<never>((_resolve, reject) => {
    deadline.signal.addEventListener('abort', () => reject(deadline.signal.reason as Error));
  });
  try {
    return await Promise.race([work(AbortSignal.any([gone, deadline.signal])), over]);
  } finally {
    clearTimeout(timer);
  }
}
