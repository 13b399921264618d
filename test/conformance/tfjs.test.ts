import { describe, expect, it } from 'vitest';
import { createTfjsEngine, tfjsGpuAvailable } from '../../src/training/engines/tfjs.js';
import { describeEngine } from './engine.suite.js';
import { OPTIONS, tinyBatch, tinyNetwork } from './tiny.js';

describeEngine('TFJS', createTfjsEngine, { networks: ['basic'], steps: 3 });

describe('the TensorFlow.js engine', () => {
  it('speaks of a GPU only where there is one', async () => {
    const { device } = await createTfjsEngine();
    expect(/GPU \d/.test(device)).toBe(await tfjsGpuAvailable());
  });

  it('computes in float32 alone', async () => {
    const engine = await createTfjsEngine();
    const { graph, initial } = tinyNetwork();
    expect(engine.precisions).toEqual(['FLOAT32']);
    await expect(engine.open(graph, initial, { ...OPTIONS, precision: 'BFLOAT16' })).rejects.toThrow('not in BFLOAT16');
  });

  it.each([
    ['squeeze and excitation', { squeezeExcitation: 2 }],
    ['stochastic depth and dropout', { dropPath: 0.5, dropout: 0.3 }],
    ['groups', { block: 'BOTTLENECK', groups: 2 }],
    ["ResNet-D's shortcut", { shortcut: 'AVERAGE_POOL' }],
    ['pre-activated blocks', { block: 'PREACT_BASIC', shortcut: 'PROJECTION' }],
  ] as const)('trains %s, the same way each time', async (_, architecture) => {
    const engine = await createTfjsEngine();
    const { graph, initial } = tinyNetwork(architecture);
    const lossesOf = async (steps: number) => {
      const session = await engine.open(graph, initial, OPTIONS);
      const found: number[] = [];
      for (let step = 0; step < steps; step++) found.push((await session.step(tinyBatch(step % 2), 0.05)).loss);
      await session.close();
      return found;
    };
    const losses = await lossesOf(10);
    expect(await lossesOf(2)).toEqual(losses.slice(0, 2));
    expect((losses[8]! + losses[9]!) / (losses[0]! + losses[1]!)).toBeLessThan(0.95);
  });
});
