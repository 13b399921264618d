import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { CLASS_NAMES, SIDE } from '../helpers/shapes-data.js';
import { ask, defineTiny, startTiny, untilOver, uploadShapes } from '../helpers/training.js';

let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '2' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

/** oneDNN's own switch stands in for such a machine: it then uses no instruction beyond the limit. */
describe.each(['AVX2', 'AVX512_CORE'])('on a CPU that ends with %s', (isa) => {
  it('a run of precision AUTO trains in float32 and learns', async () => {
    const worker = await platform.startWorker('train', { ONEDNN_MAX_CPU_ISA: isa });
    try {
      const run = await untilOver(platform, await startTiny(platform, { dataset: 'shapes@1', precision: 'AUTO' }));
      expect(run).toMatchObject({ status: 'SUCCEEDED', engine: 'ONEDNN', precision: 'FLOAT32', failure: null });
      const [first, , last] = run.history;
      expect(last.trainLoss).toBeLessThan(first.trainLoss / 2);
      expect(run.logs.nodes[0].message).toMatch(/ONEDNN \(2 threads, avx\w*, oneDNN [\d.]+\), FLOAT32$/);
      expect(run.logs.nodes[0].message).not.toContain('bf16');
    } finally {
      await worker.stop();
    }
  });

  it('a run that insists on bfloat16 fails before its first step, saying what there is', async () => {
    const worker = await platform.startWorker('train', { ONEDNN_MAX_CPU_ISA: isa });
    try {
      const run = await untilOver(platform, await startTiny(platform, { dataset: 'shapes@1', precision: 'BFLOAT16' }));
      expect(run).toMatchObject({ status: 'FAILED', step: 0 });
      expect(run.failure).toMatch(/^BFLOAT16 is not computed by ONEDNN on this machine \(.+\), which has FLOAT32$/);
    } finally {
      await worker.stop();
    }
  });
});

it('a batch that does not fit in memory fails the run before its first step, saying by how much', async () => {
  const batchSize = 65_536;
  await uploadShapes(platform, batchSize);
  const stages = [{ blocks: 400, width: 16, stride: 1 }];
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: {
      name: 'deep',
      architecture: { block: 'BASIC', stem: { kind: 'CONV3X3', width: 16 }, stages },
      inputShape: { height: SIDE, width: SIDE, channels: 1 },
      classNames: CLASS_NAMES,
    },
  });
  const worker = await platform.startWorker('train');
  try {
    const run = await untilOver(platform, await startTiny(platform, { model: 'deep', batchSize, precision: 'AUTO' }));
    expect(run).toMatchObject({ status: 'FAILED', step: 0, attempts: 1 });
    const bytes = String.raw`\d+ bytes \([\d.]+ GB\)`;
    expect(run.failure).toMatch(
      new RegExp(`^onednn open: training needs ${bytes} of memory, ${bytes} are available: take a smaller batch$`),
    );
    // The worker is none the worse for it.
    const next = await untilOver(platform, await startTiny(platform, { dataset: 'shapes@1' }));
    expect(next.status).toBe('SUCCEEDED');
  } finally {
    await worker.stop();
  }
});
