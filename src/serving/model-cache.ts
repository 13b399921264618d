import { ResidualError, unavailable } from '../errors.js';

/** What a cache holds: something that takes memory and gives it back. */
export interface Cacheable {
  release(): Promise<void>;
}

export interface Source<T> {
  /** Memory that the value will take. */
  readonly bytes: number;
  /** For people: `cats:3`. */
  readonly label: string;
  readonly load: () => Promise<T>;
}

/** The right to use a value, until `release` is called. */
export interface Lease<T> {
  readonly value: T;
  /** Whether the value was in memory when it was asked for. */
  readonly hit: boolean;
  release(): void;
  /** As `ModelCache.discard`, of this value and no other: by now there may be a sound one in its place. */
  discard(reason: string): void;
}

export type CacheState = 'LOADING' | 'READY' | 'RELEASING' | 'FAILED';

export interface CacheEntryState {
  readonly key: string;
  readonly state: CacheState;
  /** Why it is in this state. */
  readonly reason: string;
  readonly bytes: number;
  readonly lastUsedAt: Date;
  /** How often it was leased since it was loaded. */
  readonly requests: number;
}

export interface LoadReport {
  readonly label: string;
  /** From being asked for, so with the wait for room. */
  readonly loadMs: number;
  /** Why it failed, if it did. */
  readonly error?: unknown;
}

export interface ModelCacheOptions {
  readonly budgetBytes: number;
  /**
   * How long a load waits for room while everything in memory is in use.
   * @default 5000
   */
  readonly maxWaitForRoomMs?: number;
  readonly onEvict?: () => void;
  /** Once for each load, however many asked for it. */
  readonly onLoad?: (load: LoadReport) => void;
  /** Whenever memory was taken or given back: bytes taken, and values ready for use. */
  readonly onChange?: (content: { bytes: number; ready: number }) => void;
}

interface Entry<T> {
  readonly key: string;
  readonly bytes: number;
  state: CacheState;
  reason: string;
  /** Leases, and callers that wait for the load. */
  users: number;
  requests: number;
  lastUsedAt: Date;
  loaded: Promise<T>;
}

/** Failures that `states` remembers. */
const MAX_FAILURES = 64;

/**
 * Values in memory under a budget of bytes. One load however many ask; a load that failed is forgotten, so that the
 * next caller tries again; what is in use stays, and of the rest the least recently used goes first. (The states follow
 * Triton's: core, src/model_repository_manager/model_lifecycle.h.)
 */
export class ModelCache<T extends Cacheable> {
  readonly #budgetBytes: number;
  readonly #maxWaitForRoomMs: number;
  readonly #onEvict: () => void;
  readonly #onLoad: NonNullable<ModelCacheOptions['onLoad']>;
  readonly #onChange: NonNullable<ModelCacheOptions['onChange']>;
  /** The least recently used first. */
  readonly #entries = new Map<string, Entry<T>>();
  readonly #leaving = new Set<Entry<T>>();
  readonly #failures = new Map<string, CacheEntryState>();
  /** Loads that wait for room, and removals that wait for the last user. */
  readonly #sleepers = new Set<() => void>();
  /** Loads are let in in the order they came, so that a large one that waits for room is not overtaken for ever. */
  #admission: Promise<unknown> = Promise.resolve();
  #bytes = 0;
  #closing = false;

  constructor(options: ModelCacheOptions) {
    this.#budgetBytes = options.budgetBytes;
    this.#maxWaitForRoomMs = options.maxWaitForRoomMs ?? 5_000;
    this.#onEvict = options.onEvict ?? (() => undefined);
    this.#onLoad = options.onLoad ?? (() => undefined);
    this.#onChange = options.onChange ?? (() => undefined);
  }

  /** Of everything loaded or being loaded, until its memory has been given back. */
  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#entries.get(key)?.state === 'READY';
  }

  /**
   * The value under `key`, loaded if need be. The caller must release the lease.
   * @throws SERVICE_UNAVAILABLE where the value is larger than the budget or what is in use leaves no room; whatever
   *   `load` throws
   */
  async acquire(key: string, source: Source<T>): Promise<Lease<T>> {
    if (this.#closing) throw unavailable('the server is shutting down');
    const hit = this.has(key);
    const entry = this.#entries.get(key) ?? this.#startLoad(key, source);
    entry.users++;
    const value = await entry.loaded;
    this.#touch(entry);
    return { value, hit, release: once(() => this.#leave(entry)), discard: (reason) => this.#discard(entry, reason) };
  }

  /** Loads a value that nobody uses yet, as `acquire` would. */
  async warm(key: string, source: Source<T>): Promise<void> {
    if (this.#closing) throw unavailable('the server is shutting down');
    await (this.#entries.get(key) ?? this.#startLoad(key, source)).loaded;
  }

  /** Keeps what is in memory there without using it. @returns what ends that, or undefined where it is not in memory */
  pin(key: string): (() => void) | undefined {
    const entry = this.#entries.get(key);
    if (entry?.state !== 'READY') return undefined;
    entry.users++;
    return once(() => this.#leave(entry));
  }

  /** Forgets a value that turned out broken; it is released once its users are done. */
  discard(key: string, reason: string): void {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#discard(entry, reason);
  }

  /** What is in memory or on its way in or out, and the last failures. */
  states(): CacheEntryState[] {
    return [...this.#entries.values(), ...this.#leaving].map(describe).concat(...this.#failures.values());
  }

  /** Takes no more callers, waits until every lease has ended, and releases everything. */
  async close(): Promise<void> {
    this.#closing = true;
    const entries = [...this.#entries.values()];
    await Promise.allSettled(entries.map(({ loaded }) => loaded));
    for (const entry of [...this.#entries.values()]) void this.#remove(entry, 'the server is shutting down');
    while (this.#leaving.size > 0) await this.#somethingFreed();
  }

  #startLoad(key: string, source: Source<T>): Entry<T> {
    const entry: Entry<T> = {
      key,
      bytes: source.bytes,
      state: 'LOADING',
      reason: 'asked for',
      users: 0,
      requests: 0,
      lastUsedAt: new Date(),
      loaded: this.#load(source),
    };
    this.#entries.set(key, entry);
    const { label } = source;
    const askedAt = performance.now();
    entry.loaded.then(
      () => {
        this.#loaded(entry);
        this.#onLoad({ label, loadMs: performance.now() - askedAt });
      },
      (error: unknown) => {
        this.#failed(entry, error);
        this.#onLoad({ label, loadMs: performance.now() - askedAt, error });
      },
    );
    return entry;
  }

  async #load({ bytes, label, load }: Source<T>): Promise<T> {
    if (bytes > this.#budgetBytes) throw largerThanBudget(label, bytes, this.#budgetBytes);
    const admitted = this.#admission.then(() => this.#admit(bytes, label));
    this.#admission = admitted.catch(() => undefined);
    await admitted;
    try {
      return await load();
    } catch (error) {
      this.#changed(-bytes);
      throw error;
    }
  }

  /** Waits for room and takes it. */
  async #admit(bytes: number, label: string): Promise<void> {
    const deadline = performance.now() + this.#maxWaitForRoomMs;
    while (this.#bytes + bytes > this.#budgetBytes) {
      const idle = [...this.#entries.values()].find(({ state, users }) => state === 'READY' && users === 0);
      if (idle !== undefined) {
        this.#onEvict();
        await this.#remove(idle, `evicted to make room for ${label}`);
      } else if (!(await this.#somethingFreed(deadline - performance.now()))) throw allInUse(label, this.#budgetBytes);
    }
    this.#changed(bytes);
  }

  #loaded(entry: Entry<T>): void {
    Object.assign(entry, { state: 'READY', reason: 'loaded' });
    this.#failures.delete(entry.key);
    this.#changed(0);
  }

  #failed(entry: Entry<T>, error: unknown): void {
    const { key, lastUsedAt, requests } = entry;
    if (this.#entries.get(key) === entry) this.#entries.delete(key);
    this.#failures.delete(key);
    this.#failures.set(key, { key, state: 'FAILED', reason: String(error), bytes: 0, lastUsedAt, requests });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_FAILURES) this.#failures.delete(oldest!);
  }

  #changed(bytes: number): void {
    this.#bytes += bytes;
    const ready = [...this.#entries.values()].filter(({ state }) => state === 'READY').length;
    this.#onChange({ bytes: this.#bytes, ready });
    if (bytes < 0) this.#wake();
  }

  /** Waits until a lease has ended or memory was given back; false where the time is over first. */
  async #somethingFreed(waitMs?: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (freed: boolean) => {
        clearTimeout(timer);
        this.#sleepers.delete(wake);
        resolve(freed);
      };
      const wake = () => settle(true);
      const timer = waitMs === undefined ? undefined : setTimeout(() => settle(false), Math.max(0, waitMs));
      this.#sleepers.add(wake);
    });
  }

  #wake(): void {
    for (const wake of [...this.#sleepers]) wake();
  }

  #touch(entry: Entry<T>): void {
    entry.requests++;
    entry.lastUsedAt = new Date();
    if (this.#entries.get(entry.key) !== entry) return;
    this.#entries.delete(entry.key);
    this.#entries.set(entry.key, entry);
  }

  #leave(entry: Entry<T>): void {
    entry.users--;
    if (entry.users === 0) this.#wake();
  }

  #discard(entry: Entry<T>, reason: string): void {
    if (entry.state === 'READY') void this.#remove(entry, reason);
  }

  /** Out of reach at once; out of memory once nobody uses it. */
  async #remove(entry: Entry<T>, reason: string): Promise<void> {
    this.#entries.delete(entry.key);
    Object.assign(entry, { state: 'RELEASING', reason });
    this.#leaving.add(entry);
    while (entry.users > 0) await this.#somethingFreed();
    const value = await entry.loaded;
    await value.release().catch((error: unknown) => this.#failed(entry, error));
    this.#leaving.delete(entry);
    this.#changed(-entry.bytes);
  }
}

const describe = ({ key, state, reason, bytes, lastUsedAt, requests }: Entry<Cacheable>): CacheEntryState => ({
  key,
  state,
  reason,
  bytes,
  lastUsedAt,
  requests,
});

const largerThanBudget = (label: string, bytes: number, budgetBytes: number) =>
  new ResidualError(
    'SERVICE_UNAVAILABLE',
    `${label} would take ${bytes} bytes of memory and MODEL_CACHE_BYTES is ${budgetBytes}: this server cannot serve it`,
  );

const allInUse = (label: string, budgetBytes: number) =>
  unavailable(`no room for ${label}: the models in use fill MODEL_CACHE_BYTES (${budgetBytes} bytes); try again`);

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}
