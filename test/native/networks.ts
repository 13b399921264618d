import { createHash } from 'node:crypto';
import type { PresetName } from '../../src/domain/network/definition.js';
import { normaliseNetwork } from '../../src/domain/network/normalise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { initialTensors } from '../../src/domain/network/initialise.js';
import type { Graph, TensorMap } from '../../src/domain/network/graph.js';
import type { OptimizerPlan } from '../../src/domain/plan.js';
import type { Batch, ComputePrecision, SessionOptions } from '../../src/training/engine.js';

/** RESNET20 on small images, if not another preset: deep enough for every fusion, small enough for a test. */
export function smallNetwork(side = 16, preset: PresetName = 'RESNET20'): { graph: Graph; initial: TensorMap } {
  const definition = normaliseNetwork({ preset, inputShape: { height: side, width: side, channels: 3 }, numClasses: 10 });
  const graph = buildGraph(definition);
  return { graph, initial: initialTensors(graph, definition, 1) };
}

export const SGD: OptimizerPlan = {
  kind: 'SGD', learningRate: 0.05, momentum: 0.9, nesterov: true, weightDecay: 5e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
}; // prettier-ignore

export function sessionOptions(precision: ComputePrecision, batchSize: number, optimizer: OptimizerPlan = SGD): SessionOptions {
  return { batchSize, precision, optimizer, labelSmoothing: 0.1, seed: 1 };
}

/** Images and labels that `index` alone decides. */
export function batchOf(graph: Graph, size: number, index = 0): Batch {
  const [channels, height, width] = graph.inputShape;
  const images = Float32Array.from({ length: size * channels * height * width }, (_, i) => Math.sin((i + 1) * (index + 1.7)));
  const labels = Int32Array.from({ length: size }, (_, i) => (i * 7 + index) % graph.numClasses);
  return { size, images, labels };
}

/** Equal exactly where all tensors are, bit for bit. */
export function digest(tensors: TensorMap): string {
  const hash = createHash('sha256');
  for (const [name, values] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(name).update(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return hash.digest('hex');
}
