import { describe, expect, test } from 'vitest';
import type { OptimizerPlan } from '../../src/domain/plan.js';
import type { ComputePrecision, TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { batchOf, digest, SGD, sessionOptions, smallNetwork } from './networks.js';

const { graph, initial } = smallNetwork();
const engine = createOneDnnEngine({ threads: 2 });
const BATCH = 16;
const ADAM: OptimizerPlan = { ...SGD, kind: 'ADAM' };

describe.each(engine.precisions)('a session in %s', (precision) => {
  test('gives the same weights bit for bit for the same threads', async () => {
    const runs = [await trained(precision, SGD, [16, 16, 5, 16]), await trained(precision, SGD, [16, 16, 5, 16])];
    expect(runs[0]).toBe(runs[1]);
    expect(runs[0]).not.toBe(digest(initial));
  });

  test.each([SGD, ADAM])('restored in another session continues bit for bit ($kind)', async (optimizer) => {
    await withSession(precision, optimizer, async (first) => {
      await steps(first, [16, 16, 16]);
      const [tensors, state] = [await first.tensors(), await first.optimizerState()];
      expect(state.get('step')).toEqual(Float32Array.of(3, 0));
      await withSession(precision, optimizer, async (second) => {
        await second.restore(tensors, state);
        await Promise.all([steps(first, [16, 16]), steps(second, [16, 16])]);
        expect(digest(await second.tensors())).toBe(digest(await first.tensors()));
        expect(digest(await second.optimizerState())).toBe(digest(await first.optimizerState()));
      });
    });
  });

  test('an evaluation between two steps changes nothing', async () => {
    await withSession(precision, SGD, async (session) => {
      await steps(session, [16]);
      const before = digest(await session.tensors());
      const { images } = batchOf(graph, 7, 3);
      const logits = await session.evaluate(images, 7);
      expect(logits).toHaveLength(70);
      expect(digest(await session.tensors())).toBe(before);
      await session.step(batchOf(graph, 16, 1), 0.05);
      expect(digest(await session.tensors())).toBe(await trained(precision, SGD, [16, 16]));
    });
  });

  test('learns a batch by heart', async () => {
    await withSession(precision, SGD, async (session) => {
      const batch = batchOf(graph, BATCH);
      const first = await session.step(batch, 0.05);
      let last = first;
      for (let step = 0; step < 60; step++) last = await session.step(batch, 0.05);
      expect(first.loss).toBeGreaterThan(1.8);
      expect(last.loss).toBeLessThan(0.8);
      expect(last.correct).toBe(BATCH);
    });
  });
});

test('a smaller last batch counts only its own images', async () => {
  // Of a batch of one image twice the batch statistics and the mean loss are those of the image alone.
  await withSession('FLOAT32', SGD, async (session) => {
    const one = batchOf(graph, 1);
    const { loss } = await session.step(one, 0);
    await session.restore(initial, await session.optimizerState());
    const twice = { size: 2, images: Float32Array.from([...one.images, ...one.images]), labels: Int32Array.of(0, 0) };
    expect((await session.step(twice, 0)).loss).toBeCloseTo(loss, 4);
  });
});

test('gradients are those of the last step, and no weight moves at rate 0', async () => {
  await withSession('FLOAT32', { ...SGD, momentum: 0, nesterov: false }, async (session) => {
    await session.step(batchOf(graph, BATCH, 0), 0);
    const first = digest(await session.gradients());
    await session.step(batchOf(graph, BATCH, 1), 0);
    expect(digest(await session.gradients())).not.toBe(first);
    await session.step(batchOf(graph, BATCH, 0), 0);
    expect(digest(await session.gradients())).toBe(first);
    expect((await session.tensors()).get('conv1.weight')).toEqual(initial.get('conv1.weight'));
  });
});

test('a layer whose values are no numbers shows it in both running statistics', async () => {
  const broken = initial.get('conv1.weight')!.map(() => NaN);
  const session = await engine.open(graph, new Map(initial).set('conv1.weight', broken), sessionOptions('FLOAT32', BATCH));
  try {
    await session.step(batchOf(graph, BATCH), 0);
    const tensors = await session.tensors();
    for (const statistic of ['bn1.running_mean', 'bn1.running_var'])
      expect(tensors.get(statistic)!.every(Number.isNaN), statistic).toBe(true);
  } finally {
    await session.close();
  }
});

test('timers fire while a step runs', async () => {
  const { graph, initial } = smallNetwork(64);
  const session = await engine.open(graph, initial, sessionOptions('FLOAT32', 64));
  try {
    const batch = batchOf(graph, 64);
    let longest = 0;
    let last = performance.now();
    const timer = setInterval(() => {
      longest = Math.max(longest, performance.now() - last);
      last = performance.now();
    }, 2);
    const start = performance.now();
    await session.step(batch, 0.01);
    const milliseconds = performance.now() - start;
    clearInterval(timer);
    // A step that kept the loop to itself would have let no timer fire at all.
    longest = Math.max(longest, performance.now() - last);
    expect(milliseconds).toBeGreaterThan(50);
    expect(longest).toBeLessThan(milliseconds / 2);
  } finally {
    await session.close();
  }
});

async function withSession(precision: ComputePrecision, optimizer: OptimizerPlan, use: (session: TrainingSession) => Promise<void>) {
  const session = await engine.open(graph, initial, sessionOptions(precision, BATCH, optimizer));
  try {
    await use(session);
  } finally {
    await session.close();
  }
}

async function steps(session: TrainingSession, sizes: number[]): Promise<void> {
  for (const [index, size] of sizes.entries()) await session.step(batchOf(graph, size, index), 0.05);
}

/** Digest of the tensors after steps of these sizes. */
async function trained(precision: ComputePrecision, optimizer: OptimizerPlan, sizes: number[]): Promise<string> {
  const session = await engine.open(graph, initial, sessionOptions(precision, BATCH, optimizer));
  try {
    await steps(session, sizes);
    return digest(await session.tensors());
  } finally {
    await session.close();
  }
}
