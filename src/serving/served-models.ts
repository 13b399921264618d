import pLimit from 'p-limit';
import { ResidualError } from '../errors.js';
import type { Database } from '../infra/database.js';
import { every } from '../infra/every.js';
import type { Logger } from '../infra/log.js';
import type { ObjectStore } from '../infra/objects.js';
import { resolveVersion, type ResolvedVersion } from '../registry/resolve.js';
import type { BatchReport } from './batcher.js';
import { BriefCache } from './brief-cache.js';
import { discardDeleted, loadUnlessDeleted } from './deleted-versions.js';
import { Handover } from './handover.js';
import { batchRules, modelBytes, servedKey, type ServedModel } from './load-model.js';
import { ModelCache, type CacheEntryState, type Lease, type LoadReport, type Source } from './model-cache.js';
import type { ServingMetrics, ServingRecorder } from './stats.js';

export interface ServedModelsOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  /** Memory that models may take, as `estimateSessionBytes` counts it. */
  readonly cacheBytes: number;
  /** Threads that one batch computes with. */
  readonly threads: number;
  readonly metrics: ServingMetrics;
  readonly recorder: ServingRecorder;
  readonly logger?: Pick<Logger, 'info' | 'warn'>;
}

/** What answers a request. */
export interface Served<T> {
  readonly version: ResolvedVersion;
  readonly lease: Lease<ServedModel>;
  /** What was prepared for this version. */
  readonly prepared: T;
}

/** How old the answer to "which version is meant, and how is it to be batched" may be. */
const RESOLVE_TTL_MS = 1_000;
/** How often references that answer from memory are looked up: before their answers are old, so that nobody waits. */
const WATCH_MS = 750;
/** The database's connections are for those who ask, too. */
const LOOKED_UP_AT_ONCE = 2;

/** From a reference to the model in memory that answers for it: resolve → handover → cache. */
export class ServedModels {
  readonly #options: ServedModelsOptions;
  readonly #versions: BriefCache<ResolvedVersion>;
  readonly #models: ModelCache<ServedModel>;
  readonly #handover: Handover;
  readonly #stopWatching: () => Promise<void>;

  constructor(options: ServedModelsOptions) {
    const { cacheBytes, metrics, recorder } = options;
    this.#options = options;
    this.#versions = new BriefCache(RESOLVE_TTL_MS, (reference) => resolveVersion(options, reference, 'input.model'));
    this.#models = new ModelCache({
      budgetBytes: cacheBytes,
      onEvict: () => recorder.evicted(),
      onLoad: (load) => this.#loaded(load),
      onChange: ({ bytes, ready }) => {
        metrics.cacheBytes.set(bytes);
        metrics.cachedModels.set(ready);
      },
    });
    this.#handover = new Handover({
      isReady: (version) => this.#models.has(servedKey(version)),
      fitTogether: (one, other) => modelBytes(one) + modelBytes(other) <= cacheBytes,
      warm: (next, current) => this.#warm(next, current),
    });
    metrics.cacheBudgetBytes.set(cacheBytes);
    this.#stopWatching = every(WATCH_MS, () => this.#watch(), { warn: () => undefined });
  }

  /** Of everything in memory or on its way there. */
  get bytes(): number {
    return this.#models.bytes;
  }

  /** Versions in memory, on their way in or out, and those that failed to load, by `servedKey` and with the reason. */
  states(): CacheEntryState[] {
    return this.#models.states();
  }

  has(version: Pick<ResolvedVersion, 'id' | 'int8'>): boolean {
    return this.#models.has(servedKey(version));
  }

  /**
   * What answers for a reference now, batched as its model is set to be. The caller must release the lease.
   * @param prepare is done while the model loads; anew where another version has to answer
   * @throws what resolving, preparing and loading throw
   */
  async lease<T>(reference: string, prepare: (version: ResolvedVersion) => Promise<T>): Promise<Served<T>> {
    const wanted = await this.#versions.get(reference);
    const served = await this.#serve(reference, wanted, prepare);
    served.lease.value.batcher.configure(batchRules(wanted.model));
    return served;
  }

  /** Lets go of versions that are in no registry any more. */
  forgetDeleted(): Promise<void> {
    return discardDeleted(this.#options, this.#models);
  }

  /** Waits until every lease has ended, and releases everything. */
  async close(): Promise<void> {
    await this.#stopWatching();
    await this.#models.close();
  }

  /** @returns with the version that answers: `wanted`, or the one before where that is still on its way or is broken */
  async #serve<T>(
    reference: string,
    wanted: ResolvedVersion,
    prepare: (version: ResolvedVersion) => Promise<T>,
  ): Promise<Served<T>> {
    const version = this.#handover.choose(reference, wanted);
    const leasing = this.#lease(version);
    // Awaited once the images are decoded: a failure before that is no unhandled one.
    leasing.catch(() => undefined);
    const prepared = await prepare(version).catch((error: unknown) => {
      leasing.then((lease) => lease.release(), () => undefined);
      throw error;
    });
    try {
      const lease = await leasing;
      this.#handover.answered(reference, version);
      return { version, lease, prepared };
    } catch (error) {
      const before = this.#handover.refuse(reference, version);
      if (before === undefined) throw error;
      return this.#serve(reference, before, prepare);
    }
  }

  async #lease(version: ResolvedVersion): Promise<Lease<ServedModel>> {
    this.#options.recorder.lookedUp(this.has(version));
    return this.#models.acquire(servedKey(version), this.#source(version));
  }

  async #warm(next: ResolvedVersion, current: ResolvedVersion): Promise<void> {
    const unpin = this.#models.pin(servedKey(current));
    try {
      await this.#models.warm(servedKey(next), this.#source(next));
    } finally {
      unpin?.();
    }
  }

  #source(version: ResolvedVersion): Source<ServedModel> {
    const onBatch = (batch: BatchReport) => this.#options.recorder.computed(batch);
    return {
      label: `${version.model.name}:${version.version}${version.int8 ? '#int8' : ''}`,
      bytes: modelBytes(version),
      load: () => loadUnlessDeleted({ ...this.#options, onBatch }, version, 'input.model'),
    };
  }

  #loaded(load: LoadReport): void {
    const { recorder, logger } = this.#options;
    recorder.loaded(load);
    const { label, error } = load;
    const loadMs = Math.round(load.loadMs);
    if (error === undefined) logger?.info({ model: label, loadMs }, 'model loaded');
    else logger?.warn({ model: label, loadMs, err: error }, 'model not loaded');
  }

  /** Begins to load what references have moved to, before anybody asks for it. */
  async #watch(): Promise<void> {
    const limit = pLimit(LOOKED_UP_AT_ONCE);
    await limit.map(this.#handover.inMemory, async ([reference]) => {
      try {
        this.#handover.choose(reference, await this.#versions.refresh(reference));
      } catch (error) {
        // Where the database is away there is nothing to do until it is back.
        if (error instanceof ResidualError && error.code === 'NOT_FOUND') this.#handover.forget(reference);
      }
    });
  }
}
