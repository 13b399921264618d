import { normalisationTables } from '../domain/normalisation.js';
import { badInput, ResidualError, unavailable } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ImageShape } from '../infra/images.js';
import type { ObjectStore } from '../infra/objects.js';
import { resolveVersion, type ResolvedVersion } from '../registry/resolve.js';
import type { BatchedResult } from './batch.js';
import type { BatchReport } from './batcher.js';
import { BriefCache } from './brief-cache.js';
import { discardDeleted, loadUnlessDeleted } from './deleted-versions.js';
import { Explainer } from './explainer.js';
import { modelBytes, type ServedModel } from './load-model.js';
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
  /** `name`, `name:3`, `name:latest` or `name@alias`. */
  readonly model: string;
  /** PNG, JPEG or WebP, 1 to 64. */
  readonly images: readonly Uint8Array[];
  /** From 1 on; more than there are classes gives all of them. */
  readonly topK: number;
  /** Whether to draw where the top class was seen. @default false */
  readonly explain?: boolean;
}

/** A request for all probabilities: of encoded images, or of a tensor as the network takes it. */
export interface InferenceRequest {
  readonly model: string;
  readonly inputs: EncodedImages | ImageTensor;
}

export interface EncodedImages {
  /** Dotted path of the list, for the errors. */
  readonly field: string;
  /** PNG, JPEG or WebP, 1 to 64. */
  readonly images: readonly Uint8Array[];
}

export interface ImageTensor {
  /** For the errors. */
  readonly field: string;
  /** [N, C, H, W] with N from 1 to 64, as the version's network takes it. */
  readonly shape: readonly number[];
  /** Normalised; the batcher may hand the buffer over, so do not use it afterwards. */
  readonly values: Float32Array;
}

export interface Inference {
  readonly version: ResolvedVersion;
  /** (N, K) as N rows. */
  readonly probabilities: readonly Float32Array[];
}

export interface Prediction {
  readonly version: ResolvedVersion;
  /** An entry per image, in the request's order. */
  readonly predictions: readonly ImagePrediction[];
  /** From the call to the answer: resolving, loading, decoding, waiting, computing and drawing. */
  readonly latencyMs: number;
  /** Images in the largest batch that the request had a part in. */
  readonly batchSize: number;
  /** Whether the model was in memory. */
  readonly cacheHit: boolean;
}

export interface ImagePrediction {
  readonly top: readonly ClassScore[];
  /** PNG: the class activation map of the top class over the image; null where it was not asked for. */
  readonly explanation: Buffer | null;
}

interface Computed {
  readonly version: ResolvedVersion;
  /** (N) of (K) */
  readonly probabilities: Float32Array[];
  /** (N) of (H', W'), where the version's file has class activation maps. */
  readonly maps: Float32Array[];
  readonly mapShape: ServedModel['mapShape'];
  readonly result: BatchedResult;
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
  readonly #explainer: Explainer;
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
    this.#explainer = new Explainer(options);
    options.metrics.cacheBudgetBytes.set(options.cacheBytes);
  }

  /**
   * @param signal of a client that may give up; what was not computed by then never is
   * @throws BAD_USER_INPUT, PAYLOAD_TOO_LARGE or NOT_FOUND on `input.…`; RATE_LIMITED where too many images wait;
   *   SERVICE_UNAVAILABLE where the model does not fit into memory, a store is away or the server shuts down;
   *   CorruptObjectError where the stored model is not what was published
   */
  async predict(request: PredictionRequest, signal?: AbortSignal): Promise<Prediction> {
    return this.#track(() => this.#predict(request, signal), signal);
  }

  /**
   * As `predict`, through the same cache and batcher, with all that the network puts out.
   * @throws as `predict` does, on the fields that the request names
   */
  async infer(request: InferenceRequest, signal?: AbortSignal): Promise<Inference> {
    return this.#track(() => this.#infer(request, signal), signal);
  }

  async #track<T>(begin: () => Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    if (this.#closed !== undefined) throw unavailable('the server is shutting down');
    const answer = begin();
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

  /** Whether a version answers from memory now. */
  isCached(versionId: string): boolean {
    return this.#models.has(versionId);
  }

  stats(): ServingStats {
    const cachedModels = this.states()
      .filter(({ state }) => state === 'READY')
      .map(({ key, bytes, lastUsedAt, requests }) => ({ versionId: key, bytes, lastUsedAt, requests }));
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

  async #predict(request: PredictionRequest, signal: AbortSignal | undefined): Promise<Prediction> {
    const { model, images, topK } = request;
    if (!Number.isInteger(topK) || topK < 1) throw badInput('input.topK', `${topK}; at least 1`);
    const startedAt = performance.now();
    const computed = await this.#admit({ model, inputs: { field: 'input.images', images } }, signal);
    const { version, probabilities, result, cacheHit } = computed;
    const explanations = await this.#explain(request, computed, signal);
    const latencyMs = performance.now() - startedAt;
    this.#recorder.answered(images.length, latencyMs, result);
    const predictions = probabilities.map((row, index) => ({
      top: topClasses(row, version.classNames, topK),
      explanation: explanations?.[index] ?? null,
    }));
    return { version, predictions, latencyMs, batchSize: result.largestBatchImages, cacheHit };
  }

  async #infer(request: InferenceRequest, signal: AbortSignal | undefined): Promise<Inference> {
    const startedAt = performance.now();
    const { version, probabilities, result } = await this.#admit(request, signal);
    this.#recorder.answered(probabilities.length, performance.now() - startedAt, result);
    return { version, probabilities };
  }

  async #explain(
    { images, explain = false }: PredictionRequest,
    { version, maps, mapShape }: Computed,
    signal: AbortSignal | undefined,
  ): Promise<Buffer[] | undefined> {
    if (!explain) return undefined;
    if (mapShape === null) throw cannotExplain(version);
    return this.#explainer.explain(images, { shape: mapShape, maps }, imageInput(version).shape, signal);
  }

  /** Bounds what waits ahead of the batcher's own queue: images to be decoded take memory too. */
  async #admit(request: InferenceRequest, signal: AbortSignal | undefined): Promise<Computed> {
    const count = checkCount(request.inputs);
    const pending = this.#pendingImages + count;
    if (pending > MAX_PENDING_IMAGES)
      throw new ResidualError('RATE_LIMITED', `${pending - count} images wait already, of at most ${MAX_PENDING_IMAGES}`);
    this.#pendingImages = pending;
    try {
      return await this.#compute(request, count, signal);
    } finally {
      this.#pendingImages -= count;
    }
  }

  async #compute(request: InferenceRequest, count: number, signal: AbortSignal | undefined): Promise<Computed> {
    const version = await this.#versions.get(request.model);
    const prepared = await this.#prepare(version, request.inputs, signal);
    const { lease } = prepared;
    try {
      const result = await lease.value.batcher.run(prepared.inputs, count, signal);
      const classes = version.classNames.length;
      const rows = split(result.outputs, count);
      return {
        version,
        probabilities: rows.map((row) => row.subarray(0, classes)),
        maps: rows.map((row) => row.subarray(classes)),
        mapShape: lease.value.mapShape,
        result,
        cacheHit: lease.hit,
      };
    } catch (error) {
      if (!(error instanceof SessionLostError)) throw error;
      this.#models.discard(version.id, error.message);
      throw unavailable('the model was lost from memory; the next request loads it again', error);
    } finally {
      lease.release();
    }
  }

  /** Where the model is not in memory it is loaded while the images are decoded. */
  async #prepare(
    version: ResolvedVersion,
    given: InferenceRequest['inputs'],
    signal: AbortSignal | undefined,
  ): Promise<{ lease: Lease<ServedModel>; inputs: Float32Array }> {
    const leasing = this.#lease(version);
    // Awaited once the images are decoded: a failure before that is no unhandled one.
    leasing.catch(() => undefined);
    try {
      const inputs = await this.#read(version, given, signal);
      return { inputs, lease: await leasing };
    } catch (error) {
      leasing.then(
        (lease) => lease.release(),
        () => undefined,
      );
      throw error;
    }
  }

  /** (N, C, H, W) */
  async #read(
    version: ResolvedVersion,
    given: InferenceRequest['inputs'],
    signal: AbortSignal | undefined,
  ): Promise<Float32Array> {
    if ('images' in given) return this.#preprocessor.preprocess(given.images, imageInput(version), given.field, signal);
    checkTensor(given, imageInput(version).shape);
    return given.values;
  }

  async #lease(version: ResolvedVersion): Promise<Lease<ServedModel>> {
    const onBatch = (batch: BatchReport) => this.#recorder.computed(batch);
    const load = () => loadUnlessDeleted({ ...this.#options, onBatch }, version, 'input.model');
    this.#recorder.lookedUp(this.#models.has(version.id));
    const label = `${version.model.name}:${version.version}`;
    return this.#models.acquire(version.id, { label, bytes: modelBytes(version), load });
  }
}

function checkCount(inputs: InferenceRequest['inputs']): number {
  const count = 'images' in inputs ? inputs.images.length : inputs.shape[0]!;
  if (!Number.isInteger(count) || count < 1 || count > MAX_IMAGES)
    throw badInput(inputs.field, `${count} images; a request takes 1 to ${MAX_IMAGES}`);
  return count;
}

function checkTensor({ field, shape, values }: ImageTensor, { channels, height, width }: ImageShape): void {
  const [count = 0, ...image] = shape;
  const expected = [channels, height, width];
  if (image.length !== 3 || image.some((size, axis) => size !== expected[axis]))
    throw badInput(field, `shape [${shape.join(', ')}]; this model takes [N, ${expected.join(', ')}]`);
  const length = count * channels * height * width;
  if (values.length !== length)
    throw badInput(field, `${values.length} values; shape [${shape.join(', ')}] has ${length}`);
}

const cannotExplain = ({ model, version }: ResolvedVersion) =>
  badInput(
    'input.explain',
    `${model.name}:${version} has no class activation map in its ONNX file, as those have that were published before there ` +
      'were maps; train or import it again for a version that has',
  );

const imageInput = ({ model: { height, width, channels }, channelMean, channelStd }: ResolvedVersion) => ({
  shape: { height, width, channels },
  tables: normalisationTables({ mean: channelMean, std: channelStd }),
});

/** (N, K) as N views of (K). */
function split(outputs: Float32Array, count: number): Float32Array[] {
  const width = outputs.length / count;
  return Array.from({ length: count }, (_, row) => outputs.subarray(row * width, (row + 1) * width));
}
