/**
 * The TensorFlow.js engine: float32 on @tensorflow/tfjs-node-gpu where it is installed, else on @tensorflow/tfjs-node,
 * else on TensorFlow.js's own CPU backend, which is for tests. This file hands calls to the thread that computes.
 */
import { createRequire } from 'node:module';
import type { Graph, TensorMap } from '../../domain/network/graph.js';
import {
  ResourceError,
  type Batch,
  type Engine,
  type SessionOptions,
  type StepResult,
  type TrainingSession,
} from '../engine.js';
import { TensorFlowThread, type Method } from './tfjs/thread.js';

/** The engine, with a thread of its own. @throws Error where the thread does not start. */
export async function createTfjsEngine(): Promise<Engine> {
  const thread = new TensorFlowThread();
  const { description } = await thread.call('describe', 0);
  let sessions = 0;
  return {
    name: 'TFJS',
    device: description,
    precisions: ['FLOAT32'],
    fillsCores: false,
    open: (graph, initial, options) => openSession(thread, ++sessions, graph, initial, options),
  };
}

let gpu: Promise<boolean> | undefined;

/** Whether TensorFlow.js computes on a GPU here: the package is installed, its library loads, and it finds a device. */
export function tfjsGpuAvailable(): Promise<boolean> {
  gpu ??= findGpu();
  return gpu;
}

async function findGpu(): Promise<boolean> {
  try {
    createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu');
  } catch {
    return false;
  }
  const thread = new TensorFlowThread();
  try {
    return (await thread.call('describe', 0)).gpu;
  } catch {
    return false;
  } finally {
    await thread.terminate();
  }
}

async function openSession(
  thread: TensorFlowThread,
  number: number,
  graph: Graph,
  initial: TensorMap,
  options: SessionOptions,
): Promise<TrainingSession> {
  await thread.call('open', number, graph, initial, options).catch(ours('open'));
  return new ThreadSession(thread, number);
}

class ThreadSession implements TrainingSession {
  private closing: Promise<void> | undefined;

  constructor(
    private readonly thread: TensorFlowThread,
    private readonly number: number,
  ) {}

  async step(batch: Batch, learningRate: number): Promise<StepResult> {
    this.checkOpen('step');
    return this.thread.call('step', this.number, batch, learningRate).catch(ours('step'));
  }

  async evaluate(images: Float32Array, size: number): Promise<Float32Array> {
    this.checkOpen('evaluate');
    return this.thread.call('evaluate', this.number, images, size).catch(ours('evaluate'));
  }

  async tensors(): Promise<TensorMap> {
    this.checkOpen('tensors');
    return this.thread.call('tensors', this.number).catch(ours('tensors'));
  }

  async optimizerState(): Promise<TensorMap> {
    this.checkOpen('optimizerState');
    return this.thread.call('optimizerState', this.number).catch(ours('optimizerState'));
  }

  async averages(): Promise<TensorMap | undefined> {
    this.checkOpen('averages');
    return this.thread.call('averages', this.number).catch(ours('averages'));
  }

  async restore(tensors: TensorMap, optimizerState: TensorMap, averages?: TensorMap): Promise<void> {
    this.checkOpen('restore');
    await this.thread.call('restore', this.number, tensors, optimizerState, averages).catch(ours('restore'));
  }

  async gradients(): Promise<TensorMap> {
    this.checkOpen('gradients');
    return this.thread.call('gradients', this.number).catch(ours('gradients'));
  }

  close(): Promise<void> {
    this.closing ??= this.thread.call('close', this.number);
    return this.closing;
  }

  private checkOpen(what: Method): void {
    if (this.closing) throw new Error(`tfjs ${what}: the session is closed`);
  }
}

/** The thread's errors, with a stack that shows who called; TensorFlow's own word for a lack of memory is OOM. */
function ours(what: Method): (cause: unknown) => never {
  return (cause) => {
    const text = `tfjs ${what}: ${(cause as Error).message}`;
    const outOfMemory = /\bOOM\b|out of memory|allocation failed/i.test(text);
    throw outOfMemory ? new ResourceError(text, { cause }) : new Error(text, { cause });
  };
}
