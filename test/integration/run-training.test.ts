import { createHash } from 'node:crypto';
import * as tf from '@tensorflow/tfjs';
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest';
import { readSafetensorsIndex } from '../../src/formats/safetensors.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { CLASS_NAMES } from '../helpers/shapes-data.js';
import { unpackTfjs } from '../helpers/tfjs-artifact.js';
import { ask, defineTiny, glanceAtRun, readRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { expectWhole } from '../helpers/whole-run.js';

const STEPS_PER_EPOCH = 13;
let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

describe('a run', () => {
  it('trains what it was asked to, tells of every step and epoch, and publishes what it learned', async () => {
    const id = await startTiny(platform, { epochs: 4, schedule: { kind: 'ONE_CYCLE' }, tags: ['first'] });
    const run = await untilOver(platform, id);
    expect(run).toMatchObject({
      status: 'SUCCEEDED', engine: 'ONEDNN', precision: 'FLOAT32', progress: 1, epoch: 4, step: 52, totalSteps: 52,
      attempts: 1, failure: null, etaSeconds: null, queuePosition: null,
    }); // prettier-ignore
    expect(run.evaluation.accuracy).toBeGreaterThan(0.9);
    expect(run.evaluation.confusion.flat().reduce((sum: number, count: number) => sum + count, 0)).toBe(50);
    expect(run.evaluation.perClass.map(({ className }: { className: string }) => className)).toEqual(CLASS_NAMES);
    expectWhole(run, 4, STEPS_PER_EPOCH);
    expect(run.history[3].validationAccuracy).toBe(run.evaluation.accuracy);
    expect(run.logs.nodes.map(({ message }: { message: string }) => message).join('\n')).toMatch(
      /attempt 1 .*\n.*epoch 1\/4.*[^]*trained: accuracy/,
    );
    expect(new Date(run.finishedAt) >= new Date(run.startedAt)).toBe(true);
  });

  it('leaves artifacts to download for 15 minutes, by name, with the hash that it tells, the same for the same seed', async () => {
    const runs = await Promise.all([5, 5, 6].map((seed) => startTiny(platform, { seed })));
    const versions = await Promise.all(runs.map(async (id) => (await untilOver(platform, id)).version));
    const hashes = versions.map(({ artifacts }) => artifacts.map(({ sha256 }: { sha256: string }) => sha256));
    expect(hashes[1]).toEqual(hashes[0]);
    expect(hashes[2]).not.toEqual(hashes[0]);
    const kinds = versions[0].artifacts.map(({ kind }: { kind: string }) => kind);
    expect(kinds.toSorted()).toEqual(['ONNX', 'SAFETENSORS', 'TFJS']);
    for (const { kind, sha256, bytes, downloadUrl } of versions[0].artifacts) {
      const download = await fetch(downloadUrl);
      expect(new URL(downloadUrl).searchParams.get('X-Amz-Expires')).toBe('900');
      const ending = { ONNX: 'onnx', SAFETENSORS: 'safetensors', TFJS: 'tfjs.zip' }[kind as string];
      const fileName = `tiny-${versions[0].version}.${ending}`;
      expect(download.headers.get('content-disposition')).toBe(`attachment; filename="${fileName}"`);
      const content = Buffer.from(await download.arrayBuffer());
      expect(content.length).toBe(Number(bytes));
      expect(createHash('sha256').update(content).digest('hex')).toBe(sha256);
      if (kind === 'SAFETENSORS')
        expect([...readSafetensorsIndex(content).tensors.keys()]).toContain('layer1.0.conv1.weight');
      if (kind === 'TFJS') {
        const model = await tf.loadLayersModel(await unpackTfjs(content));
        expect(model.outputs[0]!.shape).toEqual([null, CLASS_NAMES.length]);
      }
    }
  });

  it('is found from its version with its data set and configuration, also behind further versions, and outlives it', async () => {
    const seeds = [11, 12];
    const runs: { id: string; version: { version: number; artifacts: { downloadUrl: string }[] } }[] = [];
    for (const seed of seeds) runs.push(await untilOver(platform, await startTiny(platform, { seed, epochs: 1 })));
    const lineage = `query ($ref: String!) { model(name: "tiny") { version(ref: $ref) {
      run { id config status dataset { name version sha256 } } } } dataset(name: "shapes") { sha256 } }`;
    for (const [index, run] of runs.entries()) {
      const { model, dataset } = await ask(platform, lineage, { ref: String(run.version.version) });
      expect(model.version.run).toMatchObject({
        id: run.id, status: 'SUCCEEDED', config: { model: 'tiny', dataset: 'shapes', epochs: 1, seed: seeds[index] },
        dataset: { name: 'shapes', version: 1, sha256: dataset.sha256 },
      }); // prettier-ignore
    }
    const [{ id, version }] = runs as [(typeof runs)[number]];
    await ask(platform, 'mutation ($version: Int!) { deleteVersion(model: "tiny", version: $version) }', { version: version.version });
    expect(await readRun(platform, id)).toMatchObject({ status: 'SUCCEEDED', version: null, evaluation: { loss: expect.any(Number) } });
    for (const { downloadUrl } of version.artifacts) expect((await fetch(downloadUrl)).status).toBe(404);
  });

  it('is shown as it goes, at once, each second and at its end', async () => {
    const id = await startTiny(platform, { epochs: 60 });
    const seen: { at: number; status: string; step: number }[] = [];
    for await (const { runProgress } of platform.subscribe(
      'subscription ($id: ID!) { runProgress(id: $id) { status step } }',
      { id },
    ))
      seen.push({ at: Date.now(), ...runProgress });
    expect(seen[0]!.step).toBeLessThan(60 * STEPS_PER_EPOCH);
    expect(seen.at(-1)).toMatchObject({ status: 'SUCCEEDED', step: 60 * STEPS_PER_EPOCH });
    expect(Math.max(...seen.slice(1).map(({ at }, index) => at - seen[index]!.at))).toBeLessThan(1_500);
    const steps = seen.map(({ step }) => step);
    expect(steps).toEqual([...steps].sort((a, b) => a - b));
  });

  it('whose loss is no number ends as FAILED with the step and the learning rate', async () => {
    const id = await startTiny(platform, { optimizer: { learningRate: 1e30 }, schedule: { kind: 'CONSTANT' } });
    const run = await untilOver(platform, id);
    expect(run).toMatchObject({ status: 'FAILED', version: null, evaluation: null });
    expect(run.failure).toMatch(/at step \d+ \(epoch 1\) with learning rate 1e\+30/);
  });

  it('that asks for TFJS trains by it, with no number of threads to go on with', async () => {
    const id = await startTiny(platform, { engine: 'TFJS', epochs: 2, batchSize: 64 });
    expect(await untilOver(platform, id)).toMatchObject({ status: 'SUCCEEDED', engine: 'TFJS', precision: 'FLOAT32', step: 8 });
    const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { threads } }', { id });
    expect(run.threads).toBeNull();
  });

  it('that asks for a precision which the engine does not have fails and says so', async () => {
    const run = await untilOver(platform, await startTiny(platform, { engine: 'TFJS', precision: 'BFLOAT16' }));
    expect(run).toMatchObject({
      status: 'FAILED',
      failure: expect.stringContaining('BFLOAT16 is not computed by TFJS'),
    });
  });
});

test('a data set that a run was trained on is not deleted; another one is', async () => {
  await ask(platform, 'mutation { createDataset(input: { name: "unused", format: IDX }) { dataset { id } } }');
  const remove = (name: string) => platform.graphql(`mutation { deleteDataset(name: "${name}", version: 1) }`);
  await untilOver(platform, await startTiny(platform, { epochs: 1 }));
  expect((await remove('shapes')).errors?.[0]?.extensions).toEqual({ code: 'CONFLICT', field: 'name' });
  expect((await remove('unused')).data).toEqual({ deleteDataset: true });
  const { shapes, unused } = await ask(platform, '{ shapes: dataset(name: "shapes") { status } unused: dataset(name: "unused") { id } }');
  expect([shapes, unused]).toEqual([{ status: 'READY' }, null]);
});

describe('cancelling', () => {
  const cancel = 'mutation ($id: ID!) { cancelTraining(id: $id) { status } }';

  it('stops a running run within two seconds, and the next one begins', async () => {
    const [running, next] = [await startTiny(platform, { epochs: 5_000 }), await startTiny(platform, { epochs: 1 })];
    await until(async () => (await glanceAtRun(platform, running)).step > 0, 20_000);
    expect(await readRun(platform, next)).toMatchObject({ status: 'QUEUED', queuePosition: 1 });
    const started = Date.now();
    await ask(platform, cancel, { id: running });
    const run = await untilOver(platform, running);
    expect(Date.now() - started).toBeLessThan(2_000);
    expect(run).toMatchObject({ status: 'CANCELLED', version: null });
    expect((await untilOver(platform, next)).status).toBe('SUCCEEDED');
  });

  it('takes a waiting run out at once', async () => {
    const [running, waiting] = [await startTiny(platform, { epochs: 5_000 }), await startTiny(platform)];
    const { cancelTraining } = await ask(platform, cancel, { id: waiting });
    expect(cancelTraining.status).toBe('CANCELLED');
    await ask(platform, cancel, { id: running });
    await untilOver(platform, running);
    expect(await readRun(platform, waiting)).toMatchObject({ attempts: 0, steps: [] });
  });
});

it('the worker shows itself and the run that it has', async () => {
  const id = await startTiny(platform, { epochs: 300 });
  await until(
    async () => (await ask(platform, '{ workers { currentRun { id } } }')).workers[0]?.currentRun?.id === id,
    20_000,
  );
  const { workers } = await ask(platform, '{ workers { host engine device threads online lastSeenAt } }');
  expect(workers).toEqual([
    {
      host: expect.any(String),
      engine: 'ONEDNN',
      device: expect.stringContaining('oneDNN'),
      threads: expect.any(Number),
      online: true,
      lastSeenAt: expect.any(String),
    },
  ]);
  await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id });
  await untilOver(platform, id);
});
