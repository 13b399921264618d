import { describe, expect, it } from 'vitest';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import type { ComputePrecision } from '../../src/training/engine.js';
import { largestDifference } from '../golden/variants/variants.js';
import { describeEngine } from './engine.suite.js';
import { EVERYTHING, OPTIONS, tinyBatch, tinyNetwork } from './tiny.js';

describeEngine('ONEDNN', () => createOneDnnEngine({ threads: 2 }), {
  networks: ['basic', 'bottleneck', 'pad'],
  steps: 20,
});

const engine = createOneDnnEngine({ threads: 2 });

describe.runIf(engine.precisions.includes('BFLOAT16'))('bfloat16', () => {
  it("follows float32's losses through gates, under the same drop masks", async () => {
    const { graph, initial } = tinyNetwork(EVERYTHING);
    const lossesOf = async (precision: ComputePrecision) => {
      const session = await engine.open(graph, initial, { ...OPTIONS, precision });
      const losses = new Float32Array(10);
      for (let step = 0; step < losses.length; step++) losses[step] = (await session.step(tinyBatch(step), 0.02)).loss;
      await session.close();
      return losses;
    };
    expect(largestDifference(await lossesOf('BFLOAT16'), await lossesOf('FLOAT32'))).toBeLessThan(0.03);
  });
});
