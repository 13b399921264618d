import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { buildGraph } from '../../src/domain/network/layers.js';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import { graphTensors, isTrained, type Graph, type TensorMap } from '../../src/domain/network/graph.js';
import type { OptimizerPlan } from '../../src/domain/plan.js';
import { readSafetensorsIndex, safetensorsView } from '../../src/formats/safetensors.js';
import type { Batch, ComputePrecision, TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';

/**
 * Largest differences allowed, as a share of the largest magnitude in the expected tensor; of gradients, ||g' - g|| / ||g||.
 * PyTorch's figures are float64's. bfloat16 keeps 8 bits: 2^-9 for each rounding, several dozen in a row.
 */
const TOLERANCE = {
  FLOAT32: { logits: 1e-5, loss: 1e-6, statistics: 1e-6, losses: 1e-3 },
  BFLOAT16: { logits: 0.02, loss: 0.01, statistics: 0.005, losses: 0.15 },
} as const;
const FLOAT32_GRADIENTS = 2e-5;
/** Where the largest of our bfloat16 gradients' deviations may lie, beside the largest of PyTorch's own. */
const AUTOCAST_FACTOR = 1.25;
/** The gradient of a bias before a batch norm is zero in theory and rounding noise in practice: norms count from here. */
const GRADIENT_FLOOR = 0.02;

const engine = createOneDnnEngine({ threads: 2 });

describe.each(['basic', 'bottleneck', 'pad'])('network %s, against PyTorch', (name) => {
  const golden = readGolden(name);

  describe.each(['FLOAT32', 'BFLOAT16'] as const)('%s', (precision) => {
    const tolerance = TOLERANCE[precision];

    test('evaluation uses the running statistics', async () => {
      await withSession(golden, precision, 'sgd', async (session) => {
        const { images, size } = golden.batch(0);
        expect(await session.evaluate(images, size)).toBeNear(golden.tensor('evaluation.logits'), tolerance.logits);
      });
    });

    test('a step gives the loss, every gradient and the running statistics', async () => {
      await withSession(golden, precision, 'sgd', async (session) => {
        const { loss } = await session.step(golden.batch(0), 0.05);
        expect(Float32Array.of(loss)).toBeNear(golden.tensor('step.loss'), tolerance.loss);
        const [gradients, tensors] = [await session.gradients(), await session.tensors()];
        const bfloat16Gradients = AUTOCAST_FACTOR * Math.max(...golden.tensor('autocast.deviations'));
        for (const spec of graphTensors(golden.graph))
          if (isTrained(spec))
            expect(deviation(gradients.get(spec.name), golden.tensor(`gradient.${spec.name}`)), spec.name).toBeLessThan(
              precision === 'FLOAT32' ? FLOAT32_GRADIENTS : bfloat16Gradients,
            );
          else expect(tensors.get(spec.name), spec.name).toBeNear(golden.tensor(`after.${spec.name}`), tolerance.statistics);
      });
    });

    test.each(Object.keys(golden.optimizers))('%s follows the losses of 20 steps', async (optimizer) => {
      await withSession(golden, precision, optimizer, async (session) => {
        const expected = golden.tensor(`losses.${optimizer}`);
        const losses = new Float32Array(expected.length);
        for (let step = 0; step < losses.length; step++) {
          const result = await session.step(golden.batch(step), golden.optimizers[optimizer]!.learningRate);
          losses[step] = result.loss;
        }
        expect(losses).toBeNear(expected, tolerance.losses);
      });
    });
  });

  test('FLOAT32 logits of a training step count the correct images', async () => {
    await withSession(golden, 'FLOAT32', 'sgd', async (session) => {
      const batch = golden.batch(0);
      const { correct } = await session.step(batch, 0.05);
      expect(correct).toBe(countCorrect(golden.tensor('step.logits'), batch.labels));
    });
  });
});

interface Golden {
  readonly graph: Graph;
  readonly initial: TensorMap;
  readonly labelSmoothing: number;
  readonly optimizers: Record<string, OptimizerPlan>;
  tensor(name: string): Float32Array;
  /** The batches in turn. */
  batch(step: number): Batch;
}

function readGolden(name: string): Golden {
  const file = readFileSync(new URL(`training/${name}.safetensors`, import.meta.url));
  const { tensors, metadata } = readSafetensorsIndex(file);
  const bytesOf = (key: string) => Uint8Array.from(safetensorsView(file, tensors.get(key)!)).buffer;
  const tensor = (key: string) => new Float32Array(bytesOf(key));
  const graph = buildGraph(JSON.parse(metadata['definition']!) as NetworkDefinition);
  const initial = new Map(graphTensors(graph).map((spec) => [spec.name, tensor(`initial.${spec.name}`)]));
  const [batches, size] = tensors.get('labels')!.shape as [number, number];
  const [images, labels] = [tensor('images'), new Int32Array(bytesOf('labels'))];
  const part = <T extends Float32Array | Int32Array>(all: T, index: number) =>
    all.subarray((index * all.length) / batches, ((index + 1) * all.length) / batches) as T;
  const batch = (step: number) => ({ size, images: part(images, step % batches), labels: part(labels, step % batches) });
  const optimizers = JSON.parse(metadata['optimizers']!) as Record<string, OptimizerPlan>;
  return { graph, initial, labelSmoothing: Number(metadata['labelSmoothing']), optimizers, tensor, batch };
}

async function withSession(golden: Golden, precision: ComputePrecision, optimizer: string, use: (session: TrainingSession) => Promise<void>) {
  const session = await engine.open(golden.graph, golden.initial, {
    batchSize: golden.batch(0).size,
    precision,
    optimizer: golden.optimizers[optimizer]!,
    labelSmoothing: golden.labelSmoothing,
    seed: 0,
  });
  try {
    await use(session);
  } finally {
    await session.close();
  }
}

function countCorrect(logits: Float32Array, labels: Int32Array): number {
  const classes = logits.length / labels.length;
  return labels.filter((label, image) => {
    const row = logits.subarray(image * classes, (image + 1) * classes);
    return row.indexOf(Math.max(...row)) === label;
  }).length;
}

/** ||actual - expected|| / ||expected|| */
function deviation(actual: Float32Array | undefined, expected: Float32Array): number {
  if (actual?.length !== expected.length) return NaN;
  const norm = Math.hypot(...expected);
  return Math.hypot(...expected.map((value, i) => value - actual[i]!)) / Math.max(norm, GRADIENT_FLOOR);
}

declare module 'vitest' {
  interface Matchers<T> {
    toBeNear(expected: Float32Array, tolerance: number): T;
  }
}

expect.extend({
  toBeNear(actual: Float32Array | undefined, expected: Float32Array, tolerance: number) {
    const scale = expected.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    const differences = Array.from(expected, (value, i) => Math.abs(value - (actual?.[i] ?? NaN)) / scale);
    const worst = differences.reduce((a, b) => (a >= b ? a : b), 0);
    return {
      pass: actual?.length === expected.length && worst <= tolerance,
      message: () => `differs by ${worst} of ${scale}, allowed is ${tolerance} (element ${differences.indexOf(worst)} of ${expected.length})`,
    };
  },
});
