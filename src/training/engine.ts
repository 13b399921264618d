import type { Graph, TensorMap } from '../domain/network/graph.js';
import type { OptimizerPlan } from '../domain/plan.js';

export type EngineName = 'ONEDNN' | 'TFJS';
export type ComputePrecision = 'FLOAT32' | 'BFLOAT16';

/**
 * What trains a network. An engine knows tensors and arithmetic; it does not know data sets, augmentation, schedules,
 * epochs, files, checkpoints or runs: those are the loop's (`train.ts`) and the worker's.
 *
 * One conformance suite (`test/conformance/engine.suite.ts`) runs over every implementation.
 */
export interface Engine {
  readonly name: EngineName;
  /** For people: `2 threads, avx512_core_bf16` or `tfjs-node-gpu, GPU 0`. */
  readonly device: string;
  /** Precisions that this machine computes natively, the fastest first: AUTO takes the first. */
  readonly precisions: readonly ComputePrecision[];
  /** Whether it computes on all cores of this process, so that whatever runs beside a step slows the step down. */
  readonly fillsCores: boolean;
  /**
   * Builds the network for one batch size, from `initial` tensors.
   * @throws ResourceError where the batch does not fit in memory.
   */
  open(graph: Graph, initial: TensorMap, options: SessionOptions): Promise<TrainingSession>;
}

export interface SessionOptions {
  /** Largest number of images that a step or an evaluation is given at once. */
  readonly batchSize: number;
  readonly precision: ComputePrecision;
  readonly optimizer: OptimizerPlan;
  /** Share of the target spread evenly over all classes: target = (1 - s) * onehot + s / K. */
  readonly labelSmoothing: number;
  /** Seed of the drop masks; unused by networks without dropout. */
  readonly seed: number;
  /**
   * In (0, 1): the session keeps exponential moving averages of all tensors, trained ones and running statistics, and
   * evaluates by them. They begin as the initial tensors; after update n (1 for the first),
   * average += (1 - d) * (tensor - average) with d = min(emaDecay, (1 + n) / (10 + n)), as TensorFlow's
   * ExponentialMovingAverage has it with num_updates = n.
   */
  readonly emaDecay?: number | undefined;
}

/** Images NHWC float32, already normalised: `images.length = size * H * W * C`; `labels.length = size`. */
export interface Batch {
  readonly size: number;
  readonly images: Float32Array;
  readonly labels: Int32Array;
  /** Of images that are each made of two. */
  readonly mix?: Mix | undefined;
}

/** The loss of image i is shares[i] * CE(labels[i]) + (1 - shares[i]) * CE(mix.labels[i]), each smoothed alike. */
export interface Mix {
  /** (size) */
  readonly labels: Int32Array;
  /** (size), in [0, 1] */
  readonly shares: Float32Array;
}

export interface StepResult {
  /** Mean cross-entropy of the batch, natural logarithm, label smoothing included, before the update. */
  readonly loss: number;
  /** How many images' largest logit was at their label: of two, the larger share's; of equal shares, the first. */
  readonly correct: number;
}

/**
 * Weights, statistics and optimizer of one network in training. Calls must not overlap; every one runs off the event
 * loop.
 */
export interface TrainingSession {
  /**
   * Forward, backward, update. `batch.size` may be less than the session's `batchSize` (the epoch's last batch).
   * The buffers must not be changed until the promise settles.
   */
  step(batch: Batch, learningRate: number): Promise<StepResult>;
  /** Forward with running statistics, by the averages where there are some, without drop; logits are (size, K). */
  evaluate(images: Float32Array, size: number): Promise<Float32Array>;
  /** Copies of all of the network's tensors (trained ones and running statistics), float32, by state_dict name. */
  tensors(): Promise<TensorMap>;
  /**
   * Everything but the tensors that the next step depends on, as named float32 arrays (momenta and, under `step`, the
   * count of updates: modulo 2^24, and its multiples). Restored together with the tensors and the averages the session
   * continues bit for bit.
   */
  optimizerState(): Promise<TensorMap>;
  /** Copies of the averages; nothing without `emaDecay`. */
  averages(): Promise<TensorMap | undefined>;
  /** All or nothing. `averages` are read with `emaDecay` only, and needed then. */
  restore(tensors: TensorMap, optimizerState: TensorMap, averages?: TensorMap): Promise<void>;
  /** Gradients of the last `step`, clipped where it clips, by state_dict name: for proofs, not for training. */
  gradients(): Promise<TensorMap>;
  /** Releases native memory; the session is unusable afterwards. Safe to call twice. */
  close(): Promise<void>;
}

/** What was asked for does not fit in this machine's memory; the message names the bytes needed and available. */
export class ResourceError extends Error {
  override readonly name = 'ResourceError';
}
