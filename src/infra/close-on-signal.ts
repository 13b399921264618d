import type { Logger } from './log.js';

type Step = () => unknown;

/** What a process has open, in the order in which it was opened. */
export class OpenThings {
  private readonly steps: { readonly name: string; readonly close: Step }[] = [];
  private closed = false;

  constructor(private readonly log: Pick<Logger, 'error'>) {}

  /** `close` may answer with a promise, which is waited for. */
  add(name: string, close: Step): void {
    this.steps.push({ name, close });
  }

  /** From the first step of closing on. */
  get closing(): boolean {
    return this.closed;
  }

  /** What was opened last is closed first, each step whether or not the one before it failed. Never rejects. */
  async close(): Promise<void> {
    this.closed = true;
    for (const { name, close } of this.steps.toReversed()) {
      try {
        await close();
      } catch (error) {
        this.log.error({ err: error, step: name }, 'a step of stopping failed');
      }
    }
  }
}

/**
 * At SIGTERM or SIGINT closes what is open by then and ends the process with 0. A second signal ends it at once.
 * @param begin called at the first signal, before anything is closed
 */
export function closeOnSignal(log: Logger, begin: () => void = () => undefined): OpenThings {
  const open = new OpenThings(log);
  const stop = async (signal: NodeJS.Signals) => {
    if (open.closing) process.exit(1);
    log.info({ signal }, 'stopping');
    begin();
    await open.close();
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, (received) => void stop(received));
  return open;
}
