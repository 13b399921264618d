import { normalisationTables } from '../domain/normalisation.js';
import { badInput, ResidualError, unavailable } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';
import { resolveVersion, type ResolvedVersion } from '../registry/resolve.js';
import type { BatchReport } from './batcher.js';
import { BriefCache } from './brief-cache.js';
import { discardDeleted, loadUnlessDeleted } from './deleted-versions.js';
import { modelBytes, servedKey, servedVersion, type ServedModel } from './load-model.js';
import { ModelCache, type CacheEntryState, type Lease } from './model-cache.js';
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
/** How old the answer to "which version is it" may be. */
const RESOLVE_TTL_MS = 1_000;

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
      onChange: ({ bytes, ready }) => {
        options.metrics.cacheBytes.set(bytes);
        options.metrics.cachedModels.set(ready);
      },
    });
    this.#preprocessor = new Preprocessor(options);
    options.metrics.cacheBudgetBytes.set(options.cacheBytes);
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
    const cachedModels = this.states()
      .filter(({ state }) => state === 'READY')
      .map(({ key, bytes, lastUsedAt, requests }) => ({ ...servedVersion(key), bytes, lastUsedAt, requests }));
    return {
      ...this.#recorder.stats(),
      cachedModels,
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
    this.#closed ??= Promise.allSettled([...this.#underWay]).then(() => this.#models.close());
    return this.#closed;
  }

  /** Bounds what waits ahead of the batcher's own queue: images to be decoded take memory too. */
  async #admit(request: PredictionRequest, signal: AbortSignal | undefined): Promise<Prediction> {
    validate(request);
    const count = request.images.length;
    const pending = this.#pendingImages + count;
    if (pending > MAX_PENDING_IMAGES)
      throw new ResidualError('RATE_LIMITED', `${pending - count} images wait already, of at most ${MAX_PENDING_IMAGES}`);
    this.#pendingImages = pending;
    try {
      return await this.#answer(request, signal);
    } finally {
      this.#pendingImages -= count;
    }
  }

  async #answer({ model, images, topK }: PredictionRequest, signal: AbortSignal | undefined): Promise<Prediction> {
    const startedAt = performance.now();
    const version = await this.#versions.get(model);
    const { lease, inputs } = await this.#prepare(version, images, signal);
    try {
      const result = await lease.value.batcher.run(inputs, images.length, signal);
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

  /** Where the model is not in memory it is loaded while the images are decoded. */
  async #prepare(
    version: ResolvedVersion,
    images: readonly Uint8Array[],
    signal: AbortSignal | undefined,
  ): Promise<{ lease: Lease<ServedModel>; inputs: Float32Array }> {
    const leasing = this.#lease(version);
    // Awaited once the images are decoded: a failure before that is no unhandled one.
    leasing.catch(() => undefined);
    try {
      const inputs = await this.#preprocessor.preprocess(images, imageInput(version), 'input.images', signal);
      return { inputs, lease: await leasing };
    } catch (error) {
      leasing.then(
        (lease) => lease.release(),
        () => undefined,
      );
      throw error;
    }
  }

  async #lease(version: ResolvedVersion): Promise<Lease<ServedModel>> {
    const onBatch = (batch: BatchReport) => this.#recorder.computed(batch);
    const load = () => loadUnlessDeleted({ ...this.#options, onBatch }, version, 'input.model');
    this.#recorder.lookedUp(this.#models.has(servedKey(version)));
    const label = `${version.model.name}:${version.version}${version.int8 ? '#int8' : ''}`;
    return this.#models.acquire(servedKey(version), { label, bytes: modelBytes(version), load });
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
