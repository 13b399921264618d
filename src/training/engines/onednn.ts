/**
 * The CPU engine: the C++ addon of `native/` over oneDNN. This file validates and translates; the addon computes, on
 * one thread of its own for each session.
 */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type * as addonTypes from '../../../native/index.d.ts';
import type { Graph, TensorMap } from '../../domain/network/graph.js';
import type { Batch, Engine, Mix, SessionOptions, StepResult, TrainingSession } from '../engine.js';
import { ResourceError } from '../engine.js';

type Addon = typeof addonTypes;

export interface OneDnnOptions {
  /**
   * Threads that compute. Weights depend on it bit for bit.
   * @default the number of cores that this process may use
   */
  readonly threads?: number;
}

/** The engine. @throws Error with the remedy where the addon does not load. */
export function createOneDnnEngine({ threads = availableParallelism() }: OneDnnOptions = {}): Engine {
  if (!Number.isInteger(threads) || threads < 1)
    throw new RangeError(`threads must be a positive integer, not ${threads}`);
  const addon = loadAddon();
  return {
    name: 'ONEDNN',
    device: `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${addon.isa}, oneDNN ${addon.oneDnnVersion}`,
    precisions: addon.nativeBFloat16 ? ['BFLOAT16', 'FLOAT32'] : ['FLOAT32'],
    fillsCores: threads >= availableParallelism(),
    open: (graph, initial, options) => openSession(addon, graph, initial, options, threads),
  };
}

/** `true`, or why the engine cannot be used here and what would mend it. */
export function oneDnnAvailable(): true | string {
  try {
    loadAddon();
    return true;
  } catch (error) {
    return (error as Error).message;
  }
}

let loaded: Addon | undefined;

/** Lies beside `src` and beside `dist` alike: the nearest folder upwards that has `native/index.cjs`. */
function loadAddon(): Addon {
  if (loaded) return loaded;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'native', 'index.cjs'))) {
    const parent = dirname(folder);
    if (folder === parent) throw new Error('the installation is incomplete: no folder above has native/index.cjs');
    folder = parent;
  }
  loaded = createRequire(import.meta.url)(join(folder, 'native', 'index.cjs')) as Addon;
  return loaded;
}

async function openSession(
  addon: Addon,
  graph: Graph,
  initial: TensorMap,
  options: SessionOptions,
  threads: number,
): Promise<TrainingSession> {
  const { batchSize, precision, optimizer, labelSmoothing, seed, emaDecay } = options;
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new RangeError(`batchSize must be a positive integer, not ${batchSize}`);
  if (!(labelSmoothing >= 0 && labelSmoothing < 1))
    throw new RangeError(`labelSmoothing must be in [0, 1), not ${labelSmoothing}`);
  if (emaDecay !== undefined && !(emaDecay > 0 && emaDecay < 1))
    throw new RangeError(`emaDecay must be in (0, 1), not ${emaDecay}`);
  const native = new addon.Session();
  const nativeOptions = { batchSize, precision, optimizer, labelSmoothing, threads, seed: seed >>> 0, emaDecay };
  try {
    await ours('open', () => native.open(graph, Object.fromEntries(initial), nativeOptions));
  } catch (error) {
    await native.close();
    throw error;
  }
  return new OneDnnSession(native, graph, options);
}

class OneDnnSession implements TrainingSession {
  private closing: Promise<void> | undefined;
  private readonly imageElements: number;

  constructor(
    private readonly native: addonTypes.Session,
    private readonly graph: Graph,
    private readonly options: SessionOptions,
  ) {
    this.imageElements = graph.inputShape.reduce((product, size) => product * size, 1);
  }

  async step({ images, labels, size, mix }: Batch, learningRate: number): Promise<StepResult> {
    this.checkImages(images, size);
    this.checkLabels(labels, size);
    if (mix) this.checkMix(mix, size);
    if (!Number.isFinite(learningRate)) throw new RangeError(`learningRate must be finite, not ${learningRate}`);
    return ours('step', () => this.native.step(images, labels, size, learningRate, mix?.labels, mix?.shares));
  }

  async evaluate(images: Float32Array, size: number): Promise<Float32Array> {
    this.checkImages(images, size);
    return ours('evaluate', () => this.native.evaluate(images, size));
  }

  async tensors(): Promise<TensorMap> {
    return toMap(await ours('tensors', () => this.native.tensors()));
  }

  async optimizerState(): Promise<TensorMap> {
    return toMap(await ours('optimizerState', () => this.native.optimizerState()));
  }

  async averages(): Promise<TensorMap | undefined> {
    if (this.options.emaDecay === undefined) return undefined;
    return toMap(await ours('averages', () => this.native.averages()));
  }

  async gradients(): Promise<TensorMap> {
    return toMap(await ours('gradients', () => this.native.gradients()));
  }

  async restore(tensors: TensorMap, optimizerState: TensorMap, averages: TensorMap = new Map()): Promise<void> {
    const [values, state, kept] = [tensors, optimizerState, averages].map((map) => Object.fromEntries(map));
    await ours('restore', () => this.native.restore(values!, state!, kept));
  }

  close(): Promise<void> {
    this.closing ??= this.native.close();
    return this.closing;
  }

  private checkImages(images: Float32Array, size: number): void {
    const { batchSize } = this.options;
    if (!Number.isInteger(size) || size < 1 || size > batchSize)
      throw new RangeError(`a batch has between 1 and ${batchSize} images, not ${size}`);
    const elements = size * this.imageElements;
    if (images.length !== elements) throw new RangeError(`images has ${images.length} elements, not ${elements}`);
  }

  private checkLabels(labels: Int32Array, size: number): void {
    if (labels.length !== size) throw new RangeError(`labels has ${labels.length} elements, not ${size}`);
    const wrong = labels.find((label) => label < 0 || label >= this.graph.numClasses);
    if (wrong !== undefined) throw new RangeError(`label ${wrong} is not in [0, ${this.graph.numClasses})`);
  }

  private checkMix({ labels, shares }: Mix, size: number): void {
    this.checkLabels(labels, size);
    if (shares.length !== size) throw new RangeError(`shares has ${shares.length} elements, not ${size}`);
    const wrong = shares.find((share) => !(share >= 0 && share <= 1));
    if (wrong !== undefined) throw new RangeError(`share ${wrong} is not in [0, 1]`);
  }
}

const toMap = (tensors: addonTypes.TensorObject): TensorMap => new Map(Object.entries(tensors));

/** The addon's errors come from another thread: gives them a stack that shows who called. */
async function ours<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    const { message, code } = cause as Error & { code?: string };
    const text = `onednn ${what}: ${message}`;
    throw code === 'RESOURCE' ? new ResourceError(text, { cause }) : new Error(text, { cause });
  }
}
