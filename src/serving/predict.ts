import { normalisationTables } from '../domain/normalisation.js';
import { badInput, ResidualError, unavailable } from '../errors.js';
import type { Database } from '../infra/database.js';
import { every } from '../infra/every.js';
import type { Logger } from '../infra/log.js';
import type { ObjectStore } from '../infra/objects.js';
import { resolveVersion, type ResolvedVersion } from '../registry/resolve.js';
import type { BatchReport } from './batcher.js';
import { BriefCache } from './brief-cache.js';
import { discardDeleted, loadUnlessDeleted } from './deleted-versions.js';
import { Handover } from './handover.js';
import { batchRules, modelBytes, servedKey, servedVersion, type ServedModel } from './load-model.js';
import { ModelCache, type CacheEntryState, type Lease, type LoadReport, type Source } from './model-cache.js';
import { Preprocessor } from './preprocess.js';
import { SessionLostError } from './session.js';
import { ServingRecorder, type ServingMetrics, type ServingStats } from './stats.js';
import { topClasses, type ClassScore } from './top-classes.js';

export interface PredictorOptions {
  readonly database: Database;
  readonly objects: ObjectStore;
  /** Memory that models may take, as `estimateSessionBytes` counts it. */
  readonly cacheBytes: number;
  /** Threads that one batch computes with. */
  readonly threads: number;
  /** Width times height above which an image is refused. */
  readonly maxPixels: number;
  readonly metrics: ServingMetrics;
  readonly logger?: Pick<Logger, 'info' | 'warn'>;
}

export interface PredictionRequest {
  /** `name`, `name:3`, `name:latest` or `name@alias`; `#int8` behind it for the network in eight bits. */
  readonly model: string;
  /** PNG, JPEG or WebP, 1 to 64. */
  readonly images: readonly Uint8Array[];
  /** From 1 on; more than there are classes gives all of them. */
  readonly topK: number;
}

export interface Prediction {
  readonly version: ResolvedVersion;
  /** An entry per image, in the request's order. */
  readonly predictions: readonly { readonly top: readonly ClassScore[] }[];
  /** From the call to the answer: resolving, loading, decoding, waiting and computing. */
  readonly latencyMs: number;
  /** Images in the largest batch that the request had a part in. */
  readonly batchSize: number;
  /** Whether the model was in memory. */
  readonly cacheHit: boolean;
}

const MAX_IMAGES = 64;
/**
 * Images in the process that are being decoded, wait or compute; a request that would go beyond is refused. As inputs
 * of 3x224x224 they take 620 MB.
 */
const MAX_PENDING_IMAGES = 1024;
/** How old the answer to "which version is meant, and how is it to be batched" may be. */
const RESOLVE_TTL_MS = 1_000;
/** How often references that answer from memory are looked up: before their answers are old, so that nobody waits. */
const WATCH_MS = 750;

export const createPredictor = (options: PredictorOptions): Predictor => new Predictor(options);

/**
 * From encoded images to classes: resolve → cache → decode → batch → top K.
 *
 * Three kinds of threads share the machine: decoding takes libuv's pool (four threads), computing one thread per model
 * in memory with `threads` of onnxruntime's, and the event loop only moves buffers. On two cores, two threads computed
 * resnet20 and ResNet-50 1.8 to 1.9 times as fast as one, at batch 1 as at batch 32.
 */
export class Predictor {
  readonly #options: PredictorOptions;
  readonly #recorder: ServingRecorder;
  readonly #versions: BriefCache<ResolvedVersion>;
  readonly #models: ModelCache<ServedModel>;
  readonly #handover: Handover;
  readonly #stopWatching: () => Promise<void>;
  readonly #preprocessor: Preprocessor;
  readonly #underWay = new Set<Promise<unknown>>();
  #pendingImages = 0;
  #closed: Promise<void> | undefined;

  constructor(options: PredictorOptions) {
    this.#options = options;
    this.#recorder = new ServingRecorder(options.metrics);
    this.#versions = new BriefCache(RESOLVE_TTL_MS, (reference) => resolveVersion(options, reference, 'input.model'));
    this.#models = new ModelCache({
      budgetBytes: options.cacheBytes,
      onEvict: () => this.#recorder.evicted(),
      onLoad: (load) => this.#loaded(load),
      onChange: ({ bytes, ready }) => {
        options.metrics.cacheBytes.set(bytes);
        options.metrics.cachedModels.set(ready);
      },
    });
    this.#handover = new Handover({
      isReady: (version) => this.#models.has(servedKey(version)),
      fitTogether: (one, other) => modelBytes(one) + modelBytes(other) <= options.cacheBytes,
      warm: (next, current) => this.#warm(next, current),
    });
    this.#preprocessor = new Preprocessor(options);
    options.metrics.cacheBudgetBytes.set(options.cacheBytes);
    this.#stopWatching = every(WATCH_MS, () => this.#watch(), { warn: () => undefined });
  }

  /**
   * @param signal of a client that may give up; what was not computed by then never is
   * @throws BAD_USER_INPUT, PAYLOAD_TOO_LARGE or NOT_FOUND on `input.…`; RATE_LIMITED where too many images wait;
   *   SERVICE_UNAVAILABLE where the model does not fit into memory, a store is away or the server shuts down;
   *   CorruptObjectError where the stored model is not what was published
   */
  async predict(request: PredictionRequest, signal?: AbortSignal): Promise<Prediction> {
    if (this.#closed !== undefined) throw unavailable('the server is shutting down');
    const answer = this.#admit(request, signal);
    this.#underWay.add(answer);
    try {
      return await answer;
    } catch (error) {
      this.#recorder.failed(error, signal);
      throw error;
    } finally {
      this.#underWay.delete(answer);
    }
  }

  /** Whether a version answers from memory now, in float32 or in eight bits. */
  isCached(id: string): boolean {
    return this.#models.has(servedKey({ id })) || this.#models.has(servedKey({ id, int8: true }));
  }

  stats(): ServingStats {
    const models = this.states().map(({ key, ...state }) => ({ ...servedVersion(key), ...state }));
    return {
      ...this.#recorder.stats(),
      models,
      cachedModels: models.filter(({ state }) => state === 'READY'),
      pendingImages: this.#pendingImages,
      cacheBytes: this.#models.bytes,
      cacheBudgetBytes: this.#options.cacheBytes,
    };
  }

  /** Versions in memory, on their way in or out, and those that failed to load, by id and with the reason. */
  states(): CacheEntryState[] {
    return this.#models.states();
  }

  /** Lets go of versions that are in no registry any more; to be called now and then. */
  forgetDeleted(): Promise<void> {
    return discardDeleted(this.#options, this.#models);
  }

  /** Takes no more requests, answers those under way, then releases every model. */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    await Promise.allSettled([this.#stopWatching(), ...this.#underWay]);
    await this.#models.close();
  }

  /** Bounds what waits ahead of the batcher's own queue: images to be decoded take memory too. */
  async #admit(request: PredictionRequest, signal: AbortSignal | undefined): Promise<Prediction> {
    validate(request);
    const count = request.images.length;
    const pending = this.#pendingImages + count;
    if (pending > MAX_PENDING_IMAGES)
      throw new ResidualError('RATE_LIMITED', `${pending - count} images wait already, of at most ${MAX_PENDING_IMAGES}`);
    this.#countPending(count);
    try {
      return await this.#answer(request, signal);
    } finally {
      this.#countPending(-count);
    }
  }

  #countPending(images: number): void {
    this.#pendingImages += images;
    this.#options.metrics.pendingImages.set(this.#pendingImages);
  }

  async #answer({ model, images, topK }: PredictionRequest, signal: AbortSignal | undefined): Promise<Prediction> {
    const startedAt = performance.now();
    const wanted = await this.#versions.get(model);
    const { version, lease, inputs } = await this.#prepare(model, wanted, images, signal);
    const { batcher } = lease.value;
    try {
      batcher.configure(batchRules(wanted.model));
      const result = await batcher.run(inputs, images.length, signal);
      const latencyMs = performance.now() - startedAt;
      this.#recorder.answered(images.length, latencyMs, result);
      const predictions = rows(result.outputs, images.length).map((row) => ({
        top: topClasses(row, version.classNames, topK),
      }));
      return { version, predictions, latencyMs, batchSize: result.largestBatchImages, cacheHit: lease.hit };
    } catch (error) {
      if (!(error instanceof SessionLostError)) throw error;
      this.#models.discard(servedKey(version), error.message);
      throw unavailable('the model was lost from memory; the next request loads it again', error);
    } finally {
      lease.release();
    }
  }

  /**
   * Where the model is not in memory it is loaded while the images are decoded.
   * @returns with the version that answers: `wanted`, or the one before where that is still on its way or is broken
   */
  async #prepare(
    reference: string,
    wanted: ResolvedVersion,
    images: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<{ version: ResolvedVersion; lease: Lease<ServedModel>; inputs: Float32Array }> {
    const version = this.#handover.choose(reference, wanted);
    const leasing = this.#lease(version);
    // Awaited once the images are decoded: a failure before that is no unhandled one.
    leasing.catch(() => undefined);
    const inputs = await this.#preprocess(version, images, signal).catch((error: unknown) => {
      leasing.then((lease) => lease.release(), () => undefined);
      throw error;
    });
    try {
      const lease = await leasing;
      this.#handover.answered(reference, version);
      return { version, lease, inputs };
    } catch (error) {
      const before = this.#handover.refuse(reference, version);
      if (before === undefined) throw error;
      return this.#prepare(reference, before, images, signal);
    }
  }

  async #preprocess(
    version: ResolvedVersion,
    images: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    const startedAt = performance.now();
    const inputs = await this.#preprocessor.preprocess(images, imageInput(version), 'input.images', signal);
    this.#recorder.preprocessed(performance.now() - startedAt);
    return inputs;
  }

  async #lease(version: ResolvedVersion): Promise<Lease<ServedModel>> {
    this.#recorder.lookedUp(this.#models.has(servedKey(version)));
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
    const onBatch = (batch: BatchReport) => this.#recorder.computed(batch);
    return {
      label: `${version.model.name}:${version.version}${version.int8 ? '#int8' : ''}`,
      bytes: modelBytes(version),
      load: () => loadUnlessDeleted({ ...this.#options, onBatch }, version, 'input.model'),
    };
  }

  #loaded(load: LoadReport): void {
    this.#recorder.loaded(load);
    const { label, error } = load;
    const loadMs = Math.round(load.loadMs);
    if (error === undefined) this.#options.logger?.info({ model: label, loadMs }, 'model loaded');
    else this.#options.logger?.warn({ model: label, loadMs, err: error }, 'model not loaded');
  }

  /** Begins to load what references have moved to, before anybody asks for it. */
  async #watch(): Promise<void> {
    await Promise.all(
      this.#handover.inMemory.map(async ([reference]) => {
        try {
          this.#handover.choose(reference, await this.#versions.refresh(reference));
        } catch (error) {
          // Where the database is away there is nothing to do until it is back.
          if (error instanceof ResidualError && error.code === 'NOT_FOUND') this.#handover.forget(reference);
        }
      }),
    );
  }
}

function validate({ images, topK }: PredictionRequest): void {
  if (images.length < 1 || images.length > MAX_IMAGES)
    throw badInput('input.images', `${images.length} images; a request takes 1 to ${MAX_IMAGES}`);
  if (!Number.isInteger(topK) || topK < 1) throw badInput('input.topK', `${topK}; at least 1`);
}

const imageInput = ({ model: { height, width, channels }, channelMean, channelStd }: ResolvedVersion) => ({
  shape: { height, width, channels },
  tables: normalisationTables({ mean: channelMean, std: channelStd }),
});

/** (N, K) as N views of (K). */
function rows(outputs: Float32Array, count: number): Float32Array[] {
  const width = outputs.length / count;
  return Array.from({ length: count }, (_, row) => outputs.subarray(row * width, (row + 1) * width));
}
