import type { Logger } from './log.js';

/**
 * Does `work` at once and then again and again, one at a time: a turn that would begin while another is under way is
 * left out. One that fails is told of, and the next comes as usual.
 * @returns what ends it, once the turn under way has ended
 */
export function every(
  milliseconds: number,
  work: () => Promise<unknown>,
  log: Pick<Logger, 'warn'>,
): () => Promise<void> {
  let running: Promise<void> | undefined;
  const turn = async () => {
    try {
      await work();
    } catch (error) {
      log.warn({ err: error }, 'will be tried again');
    }
    running = undefined;
  };
  const tick = () => void (running ??= turn());
  tick();
  const timer = setInterval(tick, milliseconds);
  return async () => {
    clearInterval(timer);
    await running;
  };
}
