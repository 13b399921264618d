import { ResidualError, unavailable } from '../errors.js';
import { imagesOf, newRequest, scatter, type BatchedResult, type Part, type PendingRequest } from './batch.js';
import type { Images } from './session.js';

/**
 * Requests that arrive together are computed together, by the rules of Triton's dynamic batcher
 * (triton-inference-server, docs/user_guide/batcher.md, "Delayed Batching"; core, src/dynamic_batch_scheduler.cc):
 * requests join a batch in the order of their arrival; while one batch computes the others queue; once it is done the
 * next is as large as the queue and `maxBatchImages` allow; with `maxDelayMs` a batch that is not full waits for
 * company, but no request longer than that. A request above `maxBatchImages` is cut into parts, any other stays whole.
 */
export interface BatcherOptions extends Partial<BatchRules> {
  /** Computes `size` images, one part behind the other, into (size, …). Never called again before it has settled. */
  readonly compute: (images: readonly Images[], size: number) => Promise<Float32Array>;
  /** Numbers that make one image. */
  readonly imageLength: number;
  readonly onBatch?: (batch: BatchReport) => void;
}

export interface BatchRules {
  /** @default 32 */
  readonly maxBatchImages: number;
  /** How long a request may wait for others although nothing is computing. @default 0 */
  readonly maxDelayMs: number;
  /**
   * Images that may wait; a request that would be over it is refused at once. One that alone has more is taken while
   * nothing waits. @default 1024
   */
  readonly maxQueueImages: number;
}

/** `full`: nothing more fits; `delay`: the oldest had waited `maxDelayMs`; `idle`: nothing to wait for. */
export type ReleaseReason = 'full' | 'delay' | 'idle';

export interface BatchReport {
  readonly images: number;
  /** Requests that had images in it. */
  readonly requests: number;
  readonly reason: ReleaseReason;
  readonly computeMs: number;
}

const DEFAULT_RULES: BatchRules = { maxBatchImages: 32, maxDelayMs: 0, maxQueueImages: 1024 };

export class Batcher {
  readonly #options: Pick<Required<BatcherOptions>, 'compute' | 'imageLength' | 'onBatch'>;
  #rules: BatchRules;
  #queue: Part[] = [];
  #queuedImages = 0;
  #computing = false;
  #scheduled = false;
  #timer: NodeJS.Timeout | undefined;
  #stopped: (() => void) | undefined;
  #stopping: Promise<void> | undefined;

  constructor(options: BatcherOptions) {
    const { compute, imageLength, onBatch = () => undefined, ...rules } = options;
    this.#options = { compute, imageLength, onBatch };
    this.#rules = { ...DEFAULT_RULES, ...rules };
  }

  /** Goes by other rules from now on, also with what waits already. */
  configure(rules: BatchRules): void {
    const { maxBatchImages, maxDelayMs } = this.#rules;
    this.#rules = rules;
    if (rules.maxBatchImages !== maxBatchImages || rules.maxDelayMs !== maxDelayMs) this.#schedule();
  }

  /** Images that wait, without those that are being computed. */
  get queuedImages(): number {
    return this.#queuedImages;
  }

  /**
   * @param images `size` of them; the batcher may hand the buffer over, so do not use it afterwards
   * @param signal takes what has not begun out of the queue; its reason is the rejection
   * @throws RATE_LIMITED at once where too many images wait, SERVICE_UNAVAILABLE once the batcher was stopped
   */
  run(images: Images, size: number, signal?: AbortSignal): Promise<BatchedResult> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    if (this.#stopping !== undefined) return Promise.reject(unavailable('the server is shutting down'));
    const { maxQueueImages } = this.#rules;
    if (this.#queuedImages > 0 && this.#queuedImages + size > maxQueueImages)
      return Promise.reject(queueFull(this.#queuedImages, maxQueueImages));
    let request!: PendingRequest;
    const result = new Promise<BatchedResult>((resolve, reject) => {
      request = newRequest(images, size, resolve, reject);
    });
    this.#enqueue(request);
    return signal === undefined ? result : this.#unlessAborted(request, result, signal);
  }

  /** Takes nothing new and waits until all that was taken is answered. */
  stop(): Promise<void> {
    this.#stopping ??= new Promise((resolve) => (this.#stopped = resolve));
    this.#schedule();
    return this.#stopping;
  }

  #enqueue(request: PendingRequest): void {
    const { maxBatchImages } = this.#rules;
    for (let start = 0; start < request.size; start += maxBatchImages)
      this.#queue.push({ request, start, size: Math.min(maxBatchImages, request.size - start) });
    this.#queuedImages += request.size;
    this.#schedule();
  }

  /** Looks at the queue once the event loop has taken in what arrived at the same time. */
  #schedule(): void {
    if (this.#scheduled || this.#computing) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      this.#dispatch();
    });
  }

  #dispatch(): void {
    clearTimeout(this.#timer);
    const [oldest] = this.#queue;
    if (oldest === undefined) return this.#stopped?.();
    const { parts, full } = this.#nextBatch();
    const waitMs = this.#rules.maxDelayMs - (performance.now() - oldest.request.arrivedAt);
    if (full || waitMs <= 0 || this.#stopping !== undefined) void this.#compute(parts, this.#reason(full));
    else this.#timer = setTimeout(() => this.#dispatch(), Math.ceil(waitMs));
  }

  #reason(full: boolean): ReleaseReason {
    if (full) return 'full';
    return this.#rules.maxDelayMs > 0 && this.#stopping === undefined ? 'delay' : 'idle';
  }

  /** The longest start of the queue that one batch holds; a part that was cut under a larger limit goes alone. */
  #nextBatch(): { parts: Part[]; full: boolean } {
    const { maxBatchImages } = this.#rules;
    let images = 0;
    let count = 0;
    for (const { size } of this.#queue) {
      if (count > 0 && images + size > maxBatchImages) break;
      images += size;
      count++;
    }
    return { parts: this.#queue.slice(0, count), full: images >= maxBatchImages || count < this.#queue.length };
  }

  async #compute(parts: Part[], reason: ReleaseReason): Promise<void> {
    this.#queue.splice(0, parts.length);
    const size = parts.reduce((sum, part) => sum + part.size, 0);
    this.#queuedImages -= size;
    this.#computing = true;
    const startedAt = performance.now();
    for (const { request } of parts) request.startedAt ??= startedAt;
    try {
      const outputs = await this.#options.compute(imagesOf(parts, this.#options.imageLength), size);
      const computeMs = performance.now() - startedAt;
      const requests = new Set(parts.map(({ request }) => request)).size;
      this.#options.onBatch({ images: size, requests, reason, computeMs });
      scatter(parts, outputs, size, computeMs);
    } catch (error) {
      for (const { request } of parts) this.#withdraw(request, error);
    }
    this.#computing = false;
    this.#dispatch();
  }

  #unlessAborted(request: PendingRequest, result: Promise<BatchedResult>, signal: AbortSignal): Promise<BatchedResult> {
    const withdraw = () => this.#withdraw(request, signal.reason);
    signal.addEventListener('abort', withdraw, { once: true });
    return result.finally(() => signal.removeEventListener('abort', withdraw));
  }

  #withdraw(request: PendingRequest, reason: unknown): void {
    this.#queue = this.#queue.filter((part) => part.request !== request);
    this.#queuedImages = this.#queue.reduce((sum, { size }) => sum + size, 0);
    request.reject(reason);
  }
}

const queueFull = (queued: number, most: number) =>
  new ResidualError('RATE_LIMITED', `${queued} images wait for this model already, of at most ${most}`);
