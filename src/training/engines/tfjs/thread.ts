import type { TransferListItem } from 'node:worker_threads';
import { Worker } from 'node:worker_threads';
import type { Device } from './backend.js';
import type { TfjsSession } from './session.js';

/** What the thread is asked for: `session` numbers the sessions that it holds. */
export interface Request {
  readonly id: number;
  readonly session: number;
  readonly method: Method;
  readonly args: readonly unknown[];
}
export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly error?: Error;
}

/** Everything but `describe` and `open` is a method of the session. */
interface Calls {
  describe: () => Device;
  open: (...args: ConstructorParameters<typeof TfjsSession>) => void;
  step: TfjsSession['step'];
  evaluate: TfjsSession['evaluate'];
  tensors: TfjsSession['tensors'];
  optimizerState: TfjsSession['optimizerState'];
  averages: TfjsSession['averages'];
  gradients: TfjsSession['gradients'];
  restore: TfjsSession['restore'];
  close: TfjsSession['close'];
}
export type Method = keyof Calls;

interface Pending {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}

/**
 * The thread in which TensorFlow.js computes, since it blocks the event loop that it runs in. Calls are answered in
 * their order. It keeps the process alive only while a call waits.
 */
export class TensorFlowThread {
  private readonly worker = new Worker(new URL('./worker.js', import.meta.url));
  private readonly pending = new Map<number, Pending>();
  private calls = 0;
  private ended: Error | undefined;

  constructor() {
    this.worker.unref();
    this.worker.on('message', (reply: Reply) => this.settle(reply));
    this.worker.on('error', (error) => this.end(error));
    this.worker.on('exit', (code) => this.end(new Error(`the TensorFlow.js thread ended with code ${code}`)));
  }

  call<M extends Method>(method: M, session: number, ...args: Parameters<Calls[M]>): Promise<ReturnType<Calls[M]>> {
    if (this.ended) return Promise.reject(this.ended);
    const id = ++this.calls;
    this.worker.ref();
    return new Promise<unknown>((resolve, reject) => {
      this.pending.set(id, { resolve, reject });
      this.worker.postMessage({ id, session, method, args } satisfies Request);
    }) as Promise<ReturnType<Calls[M]>>;
  }

  async terminate(): Promise<void> {
    await this.worker.terminate();
  }

  private settle({ id, value, error }: Reply): void {
    const call = this.pending.get(id);
    this.pending.delete(id);
    if (this.pending.size === 0) this.worker.unref();
    if (error) call?.reject(error);
    else call?.resolve(value);
  }

  private end(error: Error): void {
    this.ended ??= error;
    for (const { reject } of this.pending.values()) reject(this.ended);
    this.pending.clear();
  }
}

/** The memory of a reply's arrays, which goes to the other thread without a copy. */
export function transferable(value: unknown): TransferListItem[] {
  const arrays = value instanceof Map ? [...value.values()] : [value];
  return arrays.flatMap((array) => (array instanceof Float32Array ? [array.buffer as ArrayBuffer] : []));
}
