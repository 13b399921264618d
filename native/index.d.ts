/**
 * The addon as JavaScript sees it. `src/training/engines/onednn.ts` alone uses it, and validates what it passes; the
 * addon checks again only what would be unsafe in memory. Every promise's work runs on the session's own thread, in the
 * order of the calls. Arrays that are passed must stay unchanged until the promise settles.
 *
 * Rejections carry `code`: `RESOURCE` (memory), `ARGUMENT` (graph or tensors contradict themselves), `FAILURE`.
 */
import type { Graph } from '../src/domain/network/graph.js';
import type { OptimizerPlan } from '../src/domain/plan.js';
import type { StepResult } from '../src/training/engine.js';

/** float32, row-major, by state_dict name. */
export type TensorObject = Record<string, Float32Array>;

export interface NativeOptions {
  /** Largest batch of a step or an evaluation. */
  readonly batchSize: number;
  readonly precision: 'FLOAT32' | 'BFLOAT16';
  readonly optimizer: OptimizerPlan;
  /** In [0, 1). */
  readonly labelSmoothing: number;
  /** Threads that compute, at least 1. Same threads and same inputs give the same bits. */
  readonly threads: number;
  /** Of the drop masks, in [0, 2^32). */
  readonly seed: number;
  /** In (0, 1): keeps averages of all tensors, which then evaluate. */
  readonly emaDecay?: number | undefined;
}

export class Session {
  /** Starts the session's thread. */
  constructor();
  /** Once, before anything else. Resolves to the bytes taken for tensors, optimizer and activations. */
  open(graph: Graph, tensors: TensorObject, options: NativeOptions): Promise<number>;
  /** `images`: size x H x W x C, NHWC. */
  step(
    images: Float32Array,
    labels: Int32Array,
    size: number,
    learningRate: number,
    /** Of mixed images: the labels mixed in, and the share that each of `labels` keeps. */
    otherLabels?: Int32Array,
    shares?: Float32Array,
  ): Promise<StepResult>;
  /** Resolves to size x K logits. */
  evaluate(images: Float32Array, size: number): Promise<Float32Array>;
  tensors(): Promise<TensorObject>;
  optimizerState(): Promise<TensorObject>;
  /** Empty without `emaDecay`. */
  averages(): Promise<TensorObject>;
  gradients(): Promise<TensorObject>;
  restore(tensors: TensorObject, optimizerState: TensorObject, averages?: TensorObject): Promise<void>;
  /** Frees everything and ends the thread; further calls throw. */
  close(): Promise<void>;
}

/** Instruction set that oneDNN uses at most, after its limit variable ONEDNN_MAX_CPU_ISA: `avx512_core_bf16`. */
export const isa: string;
/** `2.6.3` */
export const oneDnnVersion: string;
/** Whether the CPU computes in bfloat16 itself. */
export const nativeBFloat16: boolean;
