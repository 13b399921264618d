import { badInput, unavailable, type ResidualError } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Logger } from '../infra/log.js';
import type { ObjectStore } from '../infra/objects.js';
import type { ResolvedVersion } from '../registry/resolve.js';
import { Admission, type Admitted } from './admission.js';
import type { BatchedResult } from './batch.js';
import { Explainer } from './explainer.js';
import { servedVersion, type ServedModel } from './load-model.js';
import type { CacheEntryState } from './model-cache.js';
import { Preprocessor } from './preprocess.js';
import {
  checkTensor,
  countImages,
  imageShape,
  inputBytes,
  type EncodedImages,
  type RequestInputs,
} from './request-inputs.js';
import { ServedModels } from './served-models.js';
import { SessionLostError, type Images } from './session.js';
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
  /** Whether to draw where the top class was seen. @default false */
  readonly explain?: boolean;
}

/** A request for all probabilities: of encoded images, or of a tensor as the network takes it. */
export interface InferenceRequest {
  readonly model: string;
  readonly inputs: RequestInputs;
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

export const createPredictor = (options: PredictorOptions): Predictor => new Predictor(options);

/**
 * From encoded images to classes: resolve → handover → cache → decode → batch → top K.
 *
 * Three kinds of threads share the machine: decoding takes libuv's pool (four threads), computing one thread per model
 * in memory with `threads` of onnxruntime's, and the event loop only moves buffers. On two cores, two threads computed
 * resnet20 and ResNet-50 1.8 to 1.9 times as fast as one, at batch 1 as at batch 32.
 */
export class Predictor {
  readonly #options: PredictorOptions;
  readonly #recorder: ServingRecorder;
  readonly #models: ServedModels;
  readonly #preprocessor: Preprocessor;
  readonly #explainer: Explainer;
  readonly #admission: Admission;
  readonly #underWay = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;

  constructor(options: PredictorOptions) {
    this.#options = options;
    this.#recorder = new ServingRecorder(options.metrics);
    this.#models = new ServedModels({ ...options, recorder: this.#recorder });
    this.#preprocessor = new Preprocessor(options);
    this.#explainer = new Explainer(options);
    this.#admission = new Admission((pendingImages) => options.metrics.pendingImages.set(pendingImages));
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

  /** Whether a version answers from memory now, in float32 or in eight bits. */
  isCached(id: string): boolean {
    return this.#models.has({ id }) || this.#models.has({ id, int8: true });
  }

  stats(): ServingStats {
    const models = this.states().map(({ key, ...state }) => ({ ...servedVersion(key), ...state }));
    return {
      ...this.#recorder.stats(),
      models,
      cachedModels: models.filter(({ state }) => state === 'READY'),
      pendingImages: this.#admission.pendingImages,
      cacheBytes: this.#models.bytes,
      cacheBudgetBytes: this.#options.cacheBytes,
    };
  }

  /** Versions in memory, on their way in or out, and those that failed to load, by `servedKey` and with the reason. */
  states(): CacheEntryState[] {
    return this.#models.states();
  }

  /** Lets go of versions that are in no registry any more; to be called now and then. */
  forgetDeleted(): Promise<void> {
    return this.#models.forgetDeleted();
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
    const inputs: EncodedImages = { field: 'input.images', images };
    const answer = await this.#admission.admit(countImages(inputs), async (admitted) => {
      const computed = await this.#compute({ model, inputs }, admitted, signal);
      return { ...computed, explanations: await this.#explain(request, computed, signal) };
    });
    const { version, probabilities, result, cacheHit, explanations } = answer;
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
    const { version, probabilities, result } = await this.#admission.admit(countImages(request.inputs), (admitted) =>
      this.#compute(request, admitted, signal),
    );
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
    return this.#explainer.explain(images, { shape: mapShape, maps }, imageShape(version), signal);
  }

  async #compute(
    { model, inputs }: InferenceRequest,
    admitted: Admitted,
    signal: AbortSignal | undefined,
  ): Promise<Computed> {
    const served = await this.#models.lease(model, (version) => this.#read(version, inputs, admitted, signal));
    const { version, lease, prepared } = served;
    const { batcher, mapShape } = lease.value;
    try {
      const count = countImages(inputs);
      const result = await batcher.run(prepared, count, signal);
      const classes = version.classNames.length;
      const rows = split(result.outputs, count);
      return {
        version,
        probabilities: rows.map((row) => row.subarray(0, classes)),
        maps: rows.map((row) => row.subarray(classes)),
        mapShape,
        result,
        cacheHit: lease.hit,
      };
    } catch (error) {
      if (!(error instanceof SessionLostError)) throw error;
      lease.discard(error.message);
      throw unavailable('the model was lost from memory; the next request loads it again', error);
    } finally {
      lease.release();
    }
  }

  async #read(
    version: ResolvedVersion,
    given: RequestInputs,
    admitted: Admitted,
    signal: AbortSignal | undefined,
  ): Promise<Images> {
    const shape = imageShape(version);
    admitted.hold(inputBytes(given, shape));
    if (!('images' in given)) {
      checkTensor(given, shape);
      return given.values;
    }
    const startedAt = performance.now();
    const pixels = await this.#preprocessor.preprocess(given.images, shape, given.field, signal);
    this.#recorder.preprocessed(performance.now() - startedAt);
    return pixels;
  }
}

function cannotExplain({ model, version, int8 }: ResolvedVersion): ResidualError {
  const why = int8
    ? `${model.name}:${version}#int8 has no class activation map, as no network in eight bits has; ask its network in ` +
      'float32, without #int8'
    : `${model.name}:${version} has no class activation map in its ONNX file, as those have that were published before ` +
      'there were maps; train or import it again for a version that has';
  return badInput('input.explain', why);
}

/** (N, K) as N views of (K). */
function split(outputs: Float32Array, count: number): Float32Array[] {
  const width = outputs.length / count;
  return Array.from({ length: count }, (_, row) => outputs.subarray(row * width, (row + 1) * width));
}
