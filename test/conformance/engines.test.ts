import { beforeAll, describe, expect, it } from 'vitest';
import type { ArchitectureInput } from '../../src/domain/network/normalise.js';
import type { Engine, TrainingSession } from '../../src/training/engine.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { createTfjsEngine } from '../../src/training/engines/tfjs.js';
import { largestDifference } from '../golden/variants/variants.js';
import { EVERYTHING, OPTIONS, SGD, tinyBatch, tinyNetwork } from './tiny.js';

let engines: Engine[];

beforeAll(async () => {
  engines = [createOneDnnEngine({ threads: 2 }), await createTfjsEngine()];
});

async function losses(session: TrainingSession, first: number, count: number): Promise<Float32Array> {
  const found = new Float32Array(count);
  for (let step = 0; step < count; step++) {
    const batch = tinyBatch(first + step, first + step === 4 ? 5 : 8);
    found[step] = (await session.step(batch, 0.05)).loss;
  }
  return found;
}

describe.each([
  ['zero-padded shortcuts', {}],
  ['projections', { shortcut: 'PROJECTION' }],
  ['bottlenecks with biases', { block: 'BOTTLENECK', shortcut: 'PROJECTION', shortcutNorm: false, convBias: true }],
  ['squeeze and excitation', { squeezeExcitation: 2 }],
  ['dropout', { dropout: 0.3 }],
  ['stochastic depth', { dropPath: 0.5 }],
  ['everything at once, pre-activated', { ...EVERYTHING, block: 'PREACT_BOTTLENECK', shortcut: 'PROJECTION' }],
  ['a pooled stem', { stem: { kind: 'CONV7X7_POOL', width: 8 }, stages: [{ blocks: 2, width: 8, stride: 1 }] }],
] as [string, ArchitectureInput][])('with %s, both engines', (_, architecture) => {
  const { graph, initial } = tinyNetwork(architecture);

  it('have the same losses over ten steps, and the same logits after them', async () => {
    const results = await Promise.all(
      engines.map(async (engine) => {
        // Masks that differed would show in the first loss.
        const session = await engine.open(graph, initial, { ...OPTIONS, seed: 0xfedc_ba98 });
        const found = await losses(session, 0, 10);
        const { images, size } = tinyBatch(99);
        const logits = await session.evaluate(images, size);
        await session.close();
        return { found, logits };
      }),
    );
    expect(largestDifference(results[0]!.found, results[1]!.found)).toBeLessThan(1e-3);
    expect(largestDifference(results[0]!.logits, results[1]!.logits)).toBeLessThan(1e-2);
  });
});

it.each(['SGD', 'ADAM', 'ADAMW'] as const)('one engine goes on from where the other had come to with %s', async (kind) => {
  const { graph, initial } = tinyNetwork(EVERYTHING);
  const options = { ...OPTIONS, optimizer: { ...SGD, kind } };
  const [from, to] = await Promise.all(engines.map((engine) => engine.open(graph, initial, options)));
  await losses(from!, 0, 3);
  await to!.restore(await from!.tensors(), await from!.optimizerState());
  expect(largestDifference(await losses(to!, 3, 3), await losses(from!, 3, 3))).toBeLessThan(1e-3);
  await Promise.all([from!.close(), to!.close()]);
});
