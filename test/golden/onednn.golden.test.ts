import { describe, expect, test } from 'vitest';
import { graphTensors, isTrained } from '../../src/domain/network/graph.js';
import type { ComputePrecision, TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { readRecipeGolden } from './recipe/recipe.js';
import { readTrainingGolden, type TrainingGolden } from './training/golden.js';

/**
 * Largest differences allowed, as a share of the largest magnitude in the expected tensor; of gradients, ||g' - g|| / ||g||.
 * PyTorch's figures are float64's. bfloat16 keeps 8 bits: 2^-9 for each rounding, several dozen in a row.
 */
const TOLERANCE = {
  FLOAT32: { logits: 1e-5, loss: 1e-6, statistics: 1e-6, losses: 1e-5 },
  BFLOAT16: { logits: 0.02, loss: 0.01, statistics: 0.005, losses: 0.15 },
} as const;
const FLOAT32_GRADIENTS = 2e-5;
/** Of weights, statistics and logits that 20 updates in float32 made. */
const AFTER_20_STEPS = 1e-4;
/** Where the largest of our bfloat16 gradients' deviations may lie, beside the largest of PyTorch's own. */
const AUTOCAST_FACTOR = 1.25;
/** The gradient of a bias before a batch norm is zero in theory and rounding noise in practice: norms count from here. */
const GRADIENT_FLOOR = 0.02;

const engine = createOneDnnEngine({ threads: 2 });
/** For the long runs of tiny steps, where a busy machine makes every meeting of two threads slow. */
const oneThread = createOneDnnEngine({ threads: 1 });

describe.each(['basic', 'bottleneck', 'pad'])('network %s, against PyTorch', (name) => {
  const golden = readTrainingGolden(name);

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
      }, oneThread);
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

describe('a run with clipped gradients, mixed targets and averaged weights, against PyTorch', () => {
  const golden = readRecipeGolden();

  test.each([1, 2])('has its losses, hits, tensors and averages after 20 steps, on %i threads', async (threads) => {
    const session = await createOneDnnEngine({ threads }).open(golden.graph, golden.initial, golden.options);
    const losses = new Float32Array(20);
    const correct: number[] = [];
    for (let step = 0; step < losses.length; step++) {
      const result = await session.step(golden.batch(step), golden.learningRate);
      losses[step] = result.loss;
      correct.push(result.correct);
      const norm = Math.hypot(...[...(await session.gradients()).values()].flatMap((values) => [...values]));
      expect(norm).toBeCloseTo(Math.min(golden.tensor('norms')[step]!, golden.options.optimizer.clipNorm!), 4);
    }
    expect(losses).toBeNear(golden.tensor('losses'), TOLERANCE.FLOAT32.losses);
    expect(correct).toEqual(golden.correct);
    const [tensors, averages] = [await session.tensors(), (await session.averages())!];
    for (const { name } of graphTensors(golden.graph)) {
      expect(tensors.get(name), name).toBeNear(golden.tensor(`final.${name}`), AFTER_20_STEPS);
      expect(averages.get(name), name).toBeNear(golden.tensor(`average.${name}`), AFTER_20_STEPS);
    }
    const { images, size } = golden.batch(0);
    expect(await session.evaluate(images, size)).toBeNear(golden.tensor('average.logits'), AFTER_20_STEPS);
    await session.close();
  });
});

async function withSession(
  golden: TrainingGolden,
  precision: ComputePrecision,
  optimizer: string,
  use: (session: TrainingSession) => Promise<void>,
  on = engine,
): Promise<void> {
  const session = await on.open(golden.graph, golden.initial, {
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
    const worst = differences.reduce((a, b) => Math.max(a, b), 0);
    return {
      pass: actual?.length === expected.length && worst <= tolerance,
      message: () => `differs by ${worst} of ${scale}, allowed is ${tolerance} (element ${differences.indexOf(worst)} of ${expected.length})`,
    };
  },
});
