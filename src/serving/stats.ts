import { isOutage, ResidualError, type ErrorCode } from '../errors.js';
import type { Metrics } from '../infra/metrics.js';
import { CorruptObjectError } from '../infra/objects.js';
import type { BatchedResult } from './batch.js';
import type { BatchReport } from './batcher.js';
import type { CacheState, LoadReport } from './model-cache.js';

/** Quantiles are of at most so many requests … */
const MAX_SAMPLES = 4096;
/** … and of none that is older. */
const WINDOW_MS = 5 * 60_000;

/** What the API tells of its predictions; counts are since the process started. */
export interface ServingStats {
  /** In memory now, the least recently used first. */
  readonly cachedModels: readonly CachedModelStats[];
  /** Of models in memory and those being loaded. */
  readonly cacheBytes: number;
  readonly cacheBudgetBytes: number;
  /** Requests that were answered with a prediction, and their images. */
  readonly requests: number;
  readonly images: number;
  readonly cacheHits: number;
  readonly cacheMisses: number;
  readonly evictions: number;
  /** Models that were loaded. */
  readonly loads: number;
  /** Loads that failed, those of corrupt objects among them. */
  readonly failedLoads: number;
  /** Loads that were refused since the object is missing or is not what was published. */
  readonly corruptLoads: number;
  /** Versions in memory, on their way in or out, and the last that failed to load. */
  readonly models: readonly ServedModelState[];
  /** Images that are being decoded, wait, compute or are drawn. */
  readonly pendingImages: number;
  /** Of whole answered requests, over a sliding window: the last 4096 and at most five minutes. */
  readonly latencyMs: LatencyQuantiles;
  /** Parts of it: decoding and normalising, waiting for the batch, computing. */
  readonly preprocessMs: LatencyQuantiles;
  readonly queueMs: LatencyQuantiles;
  readonly computeMs: LatencyQuantiles;
  /** Images per batch that was computed. */
  readonly meanBatchSize: number;
}

export interface CachedModelStats {
  readonly versionId: string;
  /** Its network in eight bits. */
  readonly int8: boolean;
  readonly bytes: number;
  readonly lastUsedAt: Date;
  /** Since the model was loaded. */
  readonly requests: number;
}

export interface ServedModelState extends CachedModelStats {
  readonly state: CacheState;
  /** Why it is in this state. */
  readonly reason: string;
}

/** By nearest rank; 0 where there was no request. */
export interface LatencyQuantiles {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

/** A ring of latencies in ms. */
export class LatencyWindow {
  readonly #latencies = new Float64Array(MAX_SAMPLES);
  readonly #times = new Float64Array(MAX_SAMPLES).fill(-Infinity);
  #count = 0;

  add(latencyMs: number): void {
    const place = this.#count++ % MAX_SAMPLES;
    this.#latencies[place] = latencyMs;
    this.#times[place] = performance.now();
  }

  quantiles(): LatencyQuantiles {
    const since = performance.now() - WINDOW_MS;
    const sorted = this.#latencies.filter((_, place) => this.#times[place]! >= since).sort();
    // The smallest latency that at least the share `q` of requests did not exceed.
    const quantile = (q: number) => sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)] ?? 0;
    return { p50: quantile(0.5), p95: quantile(0.95), p99: quantile(0.99) };
  }
}

export type ServingMetrics = Pick<
  Metrics,
  | 'predictions' | 'predictedImages' | 'predictionSeconds' | 'predictionPreprocessSeconds' | 'predictionQueueSeconds'
  | 'predictionComputeSeconds' | 'batches' | 'batchImages' | 'pendingImages' | 'modelLoads' | 'modelLoadSeconds'
  | 'cacheHits' | 'cacheMisses' | 'cacheEvictions' | 'cacheBytes' | 'cacheBudgetBytes' | 'cachedModels'
>; // prettier-ignore

/** Counts what happens, once for `servingStats` and once for Prometheus. */
export class ServingRecorder {
  readonly #latencies = new LatencyWindow();
  readonly #preprocessing = new LatencyWindow();
  readonly #queueing = new LatencyWindow();
  readonly #computing = new LatencyWindow();
  readonly #counts = {
    requests: 0, images: 0, cacheHits: 0, cacheMisses: 0, evictions: 0, loads: 0, failedLoads: 0, corruptLoads: 0,
  }; // prettier-ignore
  #batches = 0;
  #batchedImages = 0;

  constructor(private readonly metrics: ServingMetrics) {}

  answered(images: number, latencyMs: number, { queueMs, computeMs }: BatchedResult): void {
    this.#counts.requests++;
    this.#counts.images += images;
    this.#latencies.add(latencyMs);
    this.#queueing.add(queueMs);
    this.#computing.add(computeMs);
    this.metrics.predictions.inc({ code: 'OK' });
    this.metrics.predictedImages.inc(images);
    this.metrics.predictionSeconds.observe(latencyMs / 1000);
    this.metrics.predictionQueueSeconds.observe(queueMs / 1000);
  }

  preprocessed(preprocessMs: number): void {
    this.#preprocessing.add(preprocessMs);
    this.metrics.predictionPreprocessSeconds.observe(preprocessMs / 1000);
  }

  /** A client that gave up is no error of ours. */
  failed(error: unknown, signal?: AbortSignal): void {
    this.metrics.predictions.inc({ code: signal?.aborted === true ? 'ABORTED' : codeOf(error) });
  }

  lookedUp(hit: boolean): void {
    this.#counts[hit ? 'cacheHits' : 'cacheMisses']++;
    this.metrics[hit ? 'cacheHits' : 'cacheMisses'].inc();
  }

  loaded({ loadMs, error }: LoadReport): void {
    const result = loadResult(error);
    this.#counts[result === 'OK' ? 'loads' : 'failedLoads']++;
    if (result === 'CORRUPT') this.#counts.corruptLoads++;
    if (result === 'OK') this.metrics.modelLoadSeconds.observe(loadMs / 1000);
    this.metrics.modelLoads.inc({ result });
  }

  evicted(): void {
    this.#counts.evictions++;
    this.metrics.cacheEvictions.inc();
  }

  computed({ images, reason, computeMs }: BatchReport): void {
    this.metrics.batches.inc({ reason });
    this.#batches++;
    this.#batchedImages += images;
    this.metrics.batchImages.observe(images);
    this.metrics.predictionComputeSeconds.observe(computeMs / 1000);
  }

  /** All but what the cache itself knows. */
  stats() {
    const meanBatchSize = this.#batches === 0 ? 0 : this.#batchedImages / this.#batches;
    return {
      ...this.#counts,
      latencyMs: this.#latencies.quantiles(),
      preprocessMs: this.#preprocessing.quantiles(),
      queueMs: this.#queueing.quantiles(),
      computeMs: this.#computing.quantiles(),
      meanBatchSize,
    };
  }
}

function loadResult(error: unknown): 'OK' | 'CORRUPT' | 'FAILED' {
  if (error === undefined) return 'OK';
  return error instanceof CorruptObjectError ? 'CORRUPT' : 'FAILED';
}

function codeOf(error: unknown): ErrorCode {
  if (error instanceof ResidualError) return error.code;
  return isOutage(error) ? 'SERVICE_UNAVAILABLE' : 'INTERNAL_SERVER_ERROR';
}
