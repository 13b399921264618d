import type { Graph, TensorMap } from '../../src/domain/network/graph.js';
import { initialTensors } from '../../src/domain/network/initialise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../src/domain/network/normalise.js';
import type { OptimizerPlan } from '../../src/domain/plan.js';
import { CounterRandom, STREAM } from '../../src/domain/seed.js';
import type { Batch, SessionOptions } from '../../src/training/engine.js';

/** Networks and batches small enough for TensorFlow.js's JavaScript backend. */

export interface TinyNetwork {
  readonly graph: Graph;
  readonly initial: TensorMap;
}

const SIDE = 8;
const CLASSES = 4;

export function tinyNetwork(changes: ArchitectureInput = {}, seed = 1): TinyNetwork {
  const architecture: ArchitectureInput = {
    stem: { kind: 'CONV3X3', width: 4 },
    stages: [
      { blocks: 1, width: 4, stride: 1 },
      { blocks: 1, width: 8, stride: 2 },
    ],
    shortcut: 'IDENTITY_PAD',
    ...changes,
  };
  const inputShape = { height: SIDE, width: SIDE, channels: 3 };
  const definition = normaliseNetwork({ architecture, inputShape, numClasses: CLASSES });
  const graph = buildGraph(definition);
  return { graph, initial: initialTensors(graph, definition, seed) };
}

/** What networks have beside convolutions and norms, together. */
export const EVERYTHING = { squeezeExcitation: 4, dropPath: 0.4, dropout: 0.2 } as const;

/** Each class has a colour of its own under the noise, so that there is something to learn. */
export function tinyBatch(index: number, size = 8): Batch {
  const random = new CounterRandom(42, STREAM.sample, index);
  const labels = Int32Array.from({ length: size }, () => random.integer(CLASSES));
  const pixels = SIDE * SIDE * 3;
  const images = Float32Array.from({ length: size * pixels }, (_, value) => {
    const label = labels[Math.floor(value / pixels)]!;
    return 0.5 * random.normal() + (value % 3 === label % 3 ? 1 : -0.5) * (label < 3 ? 1 : 0.3);
  });
  return { size, images, labels };
}

export const SGD: OptimizerPlan = {
  kind: 'SGD',
  learningRate: 0.05,
  momentum: 0.9,
  nesterov: true,
  weightDecay: 0.0005,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
};

export const OPTIONS: SessionOptions = { batchSize: 8, precision: 'FLOAT32', optimizer: SGD, labelSmoothing: 0.1, seed: 3 };
