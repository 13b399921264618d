import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform, type WorkerProcess } from '../helpers/platform.js';
import { drawImages, SIDE } from '../helpers/shapes-data.js';
import { sendUpload } from '../helpers/send-upload.js';
import { ask, defineTiny, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';

/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of queries */
let platform: TestPlatform;
let database: Database;
let bucket: ObjectsConfig;
let quantizer: WorkerProcess;
/** Of a version that its run had quantised. */
let trained: any;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'], env: { TRAINING_THREADS: '1' } });
  quantizer = await platform.startWorker('quantize');
  database = connectDatabase(platform.env['DATABASE_URL']!);
  bucket = bucketOf(platform);
  await Promise.all([uploadShapes(platform), defineTiny(platform), defineTiny(platform, 'imported')]);
  await untilOver(platform, await startTiny(platform, { epochs: 8, quantize: true }));
  trained = await untilQuantized('tiny', 1);
});
afterAll(async () => {
  await database?.$disconnect();
  await platform?.stop();
});

const FIELDS = `version evaluation { accuracy } artifacts { kind sha256 downloadUrl }
  quantization { status failure finishedAt dataset { name } artifact { kind sha256 bytes } evaluation { accuracy loss confusion } }`;
const VERSION = `query ($name: String!, $ref: String!) { model(name: $name) { version(ref: $ref) { ${FIELDS} } } }`;
const QUANTIZE = `mutation ($model: String!, $version: Int!, $dataset: String) {
  quantizeVersion(model: $model, version: $version, dataset: $dataset) { ${FIELDS} } }`;
const PREDICT = `query ($input: PredictInput!) { predict(input: $input) {
  cacheHit modelVersion { version } predictions { top { index probability } } } }`;

const readVersion = async (name: string, version: number) =>
  (await ask(platform, VERSION, { name, ref: String(version) })).model.version;

async function untilQuantized(name: string, version: number): Promise<any> {
  const isOver = async () => (await readVersion(name, version))?.quantization?.status !== 'PENDING';
  await until(isOver, 30_000);
  // Anew: the answer that says so may have read the version's other fields before that.
  return readVersion(name, version);
}

const quantize = async (model: string, version: number, dataset?: string) =>
  platform.graphql(QUANTIZE, { model, version, dataset });

async function trainAnother(): Promise<number> {
  const run = await untilOver(platform, await startTiny(platform, { epochs: 1, seed: Math.floor(Math.random() * 1e6) }));
  return run.version.version;
}

const predict = (model: string, images: Buffer[]) =>
  platform.graphql(PREDICT, { input: { model, images: images.map((image) => image.toString('base64')), topK: 4 } });

async function pictures(count: number): Promise<{ images: Buffer[]; labels: number[] }> {
  const { pixels, labels } = drawImages(count, 3);
  const size = SIDE * SIDE;
  const draw = (at: number) =>
    sharp(pixels.subarray(at * size, (at + 1) * size), { raw: { width: SIDE, height: SIDE, channels: 1 } }).png().toBuffer();
  return { images: await Promise.all(Array.from({ length: count }, (_, at) => draw(at))), labels: [...labels] };
}

describe('a run that was started with quantize: true', () => {
  test('publishes its version, which then gets its network in eight bits with an evaluation of its own', () => {
    const { quantization, artifacts, evaluation } = trained;
    expect(quantization).toMatchObject({ status: 'SUCCEEDED', failure: null, dataset: { name: 'shapes' } });
    const artifact = artifacts.find(({ kind }: any) => kind === 'ONNX_INT8');
    expect(quantization.artifact).toMatchObject({ kind: 'ONNX_INT8', sha256: artifact.sha256 });
    expect(quantization.evaluation.confusion.flat().reduce((sum: number, count: number) => sum + count, 0)).toBe(50);
    expect(evaluation.accuracy).toBeGreaterThan(0.9);
    expect(quantization.evaluation.accuracy).toBeGreaterThan(evaluation.accuracy - 0.05);
  });

  test('is served in eight bits where the reference says #int8, apart from its float32 network in memory', async () => {
    const { images, labels } = await pictures(32);
    const [float32, int8] = [await predict('tiny:1', images), await predict('tiny:1#int8', images)];
    const rows = (answer: typeof int8) =>
      answer.data.predict.predictions.map(({ top }: any) =>
        top.toSorted((a: any, b: any) => a.index - b.index).map(({ probability }: any) => probability),
      );
    const differences = rows(int8).flatMap((row: number[], image: number) =>
      row.map((probability, index) => Math.abs(probability - rows(float32)[image][index])),
    );
    expect(Math.max(...differences)).toBeLessThan(0.15);
    // They are two networks, not one under two names.
    expect(Math.max(...differences)).toBeGreaterThan(1e-6);
    const right = int8.data.predict.predictions.filter(({ top }: any, at: number) => top[0].index === labels[at]);
    expect(right.length).toBeGreaterThan(28);
    expect((await predict('tiny:1#int8', images.slice(0, 1))).data.predict).toMatchObject({
      cacheHit: true,
      modelVersion: { version: 1 },
    });
    const { servingStats } = await ask(platform, '{ servingStats { cachedModels { int8 version { version } } } }');
    const ofFirst = servingStats.cachedModels.filter(({ version }: any) => version.version === 1);
    expect(ofFirst.map(({ int8 }: any) => int8).toSorted()).toEqual([false, true]);
  });
});

test('a network in eight bits has no class activation map: explain is refused with what to do, and drawn without #int8', async () => {
  const { images } = await pictures(1);
  const explain = 'query ($input: PredictInput!) { predict(input: $input) { predictions { explanation } } }';
  const asked = (model: string) =>
    platform.graphql(explain, { input: { model, images: [images[0]!.toString('base64')], explain: true } });
  expect((await asked('tiny:1#int8')).errors![0]).toMatchObject({
    message: expect.stringMatching(/^tiny:1#int8 has no class activation map, .* without #int8$/),
    extensions: { code: 'BAD_USER_INPUT', field: 'input.explain' },
  });
  expect((await asked('tiny:1')).data.predict.predictions[0].explanation).toEqual(expect.any(String));
});

test('until a newer version is quantised, name#int8 and latest#int8 are the newest that is; the newer by number is refused', async () => {
  const { images } = await pictures(1);
  const quantized = (await predict('tiny#int8', images)).data.predict.modelVersion.version;
  const version = await trainAnother();
  for (const reference of ['tiny#int8', 'tiny:latest#int8'])
    expect((await predict(reference, images)).data.predict.modelVersion.version).toBe(quantized);
  expect((await predict(`tiny:${version}#int8`, images)).errors![0]).toMatchObject({
    message: expect.stringContaining('quantizeVersion makes one'),
    extensions: { code: 'NOT_FOUND', field: 'input.model' },
  });
  expect((await predict('tiny', images)).data.predict.modelVersion.version).toBe(version);
});

test('an alias that moves is handed over in eight bits as in float32: what was in memory answers until the other is', async () => {
  const version = await trainAnother();
  await quantize('tiny', version);
  await untilQuantized('tiny', version);
  const point = (at: number) =>
    ask(platform, 'mutation ($at: Int!) { setAlias(model: "tiny", alias: "candidate", version: $at) { name } }', { at });
  const { images } = await pictures(1);
  const references = ['tiny@candidate', 'tiny@candidate#int8'];
  await point(1);
  await Promise.all(references.map((reference) => predict(reference, images)));
  await point(version);
  await Promise.all(
    references.map(async (reference) => {
      let answering = 1;
      for (const since = performance.now(); answering !== version && performance.now() - since < 10_000; ) {
        const { cacheHit, modelVersion } = (await predict(reference, images)).data.predict;
        expect(cacheHit).toBe(true);
        answering = modelVersion.version;
      }
      expect(answering).toBe(version);
    }),
  );
  const { servingStats } = await ask(platform, '{ servingStats { models { int8 state version { version } } } }');
  const ofNew = servingStats.models.filter((model: any) => model.version.version === version);
  expect(ofNew.map(({ int8, state }: any) => [int8, state]).toSorted()).toEqual([[false, 'READY'], [true, 'READY']]);
});

describe('quantizeVersion', () => {
  test('makes of a version without eight bits one with, however often it is asked', async () => {
    const version = await trainAnother();
    const { images } = await pictures(1);
    const before = await predict(`tiny:${version}#int8`, images);
    expect(before.errors![0]).toMatchObject({
      message: `tiny:${version} has no network in eight bits; the mutation quantizeVersion makes one`,
      extensions: { code: 'NOT_FOUND', field: 'input.model' },
    });
    const answers = await Promise.all([1, 2, 3].map(() => quantize('tiny', version)));
    expect(answers.map(({ errors }) => errors)).toEqual([undefined, undefined, undefined]);
    const { artifacts, quantization } = await untilQuantized('tiny', version);
    expect(quantization).toMatchObject({ status: 'SUCCEEDED', dataset: { name: 'shapes' } });
    expect(artifacts.filter(({ kind }: any) => kind === 'ONNX_INT8')).toHaveLength(1);
    expect((await quantize('tiny', version)).data.quantizeVersion.quantization).toEqual(quantization);
    expect((await predict(`tiny:${version}#int8`, images)).errors).toBeUndefined();
  });

  test('of a version that ended its worker five times is given up, and done when it is asked for again', async () => {
    await quantizer.kill('SIGTERM');
    const version = await trainAnother();
    await quantize('tiny', version);
    await database.quantization.updateMany({ where: { status: 'PENDING' }, data: { attempts: 5 } });
    quantizer = await platform.startWorker('quantize');
    expect((await untilQuantized('tiny', version)).quantization).toMatchObject({
      status: 'FAILED', failure: 'it ended the process that computed it, 5 times',
    }); // prettier-ignore
    await quantize('tiny', version);
    expect((await untilQuantized('tiny', version)).quantization).toMatchObject({ status: 'SUCCEEDED', failure: null });
  });

  test('whose worker is killed at the last moment is done by another one, once', async () => {
    const version = await trainAnother();
    // Holds up the worker where it is about to name what it stored.
    await database.$transaction(
      async (transaction) => {
        await transaction.$executeRaw`LOCK TABLE "Artifact" IN SHARE MODE`;
        await quantize('tiny', version);
        await until(async () => (await waitingForLocks()) > 0, 20_000);
        await quantizer.kill('SIGKILL');
      },
      { timeout: 40_000 },
    );
    expect((await readVersion('tiny', version)).quantization).toMatchObject({ status: 'PENDING', artifact: null });
    quantizer = await platform.startWorker('quantize');
    const { artifacts, quantization } = await untilQuantized('tiny', version);
    expect(quantization.status).toBe('SUCCEEDED');
    expect(artifacts.filter(({ kind }: any) => kind === 'ONNX_INT8')).toHaveLength(1);
  });

  test('whose job was lost, or never queued, is found by its row', async () => {
    const version = await trainAnother();
    const { id: versionId } = await database.modelVersion.findFirstOrThrow({ where: { version, model: { name: 'tiny' } } });
    const { id: datasetId } = await database.dataset.findFirstOrThrow({ where: { name: 'shapes' } });
    await database.quantization.create({ data: { versionId, datasetId } });
    const worker = await platform.startWorker('quantize');
    onTestFinished(() => worker.stop());
    expect((await untilQuantized('tiny', version)).quantization.status).toBe('SUCCEEDED');
  });

  test('that fails says why, and is tried again where it is asked again', async () => {
    const version = await trainAnother();
    const { artifacts } = await readVersion('tiny', version);
    const { sha256, downloadUrl } = artifacts.find(({ kind }: any) => kind === 'SAFETENSORS');
    const content = Buffer.from(await (await fetch(downloadUrl)).arrayBuffer());
    await corruptObject(bucket, sha256);
    await quantize('tiny', version);
    const { quantization } = await untilQuantized('tiny', version);
    expect(quantization).toMatchObject({ status: 'FAILED', artifact: null, failure: expect.stringContaining(sha256) });
    const objects = createObjectStore(bucket);
    await objects.remove(sha256);
    await objects.putBytes(content);
    expect((await quantize('tiny', version)).data.quantizeVersion.quantization.status).toBe('PENDING');
    expect((await untilQuantized('tiny', version)).quantization).toMatchObject({ status: 'SUCCEEDED', failure: null });
  });

  test('of weights that were trained elsewhere wants to be told a data set that fits', async () => {
    const { downloadUrl } = trained.artifacts.find(({ kind }: any) => kind === 'SAFETENSORS');
    const { createWeightsUpload } = await ask(platform, 'mutation { createWeightsUpload(model: "imported") { id upload { url method } } }');
    await sendUpload(createWeightsUpload.upload, Buffer.from(await (await fetch(downloadUrl)).arrayBuffer()));
    const { id } = createWeightsUpload;
    await ask(platform, 'mutation ($id: ID!) { importWeights(model: "imported", safetensors: $id) { id } }', { id });

    const without = (await quantize('imported', 1)).errors![0]!;
    expect(without.message).toBe('imported:1 was trained elsewhere: name a data set to calibrate it by');
    expect(without.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'dataset' });
    expect((await quantize('imported', 1, 'shapes')).errors).toBeUndefined();
    const { quantization } = await untilQuantized('imported', 1);
    // The same weights and images: the same network.
    expect(quantization).toMatchObject({ status: 'SUCCEEDED', evaluation: trained.quantization.evaluation });
    expect(quantization.artifact.sha256).toBe(trained.quantization.artifact.sha256);
  });

  test('names what it cannot find, and what does not fit', async () => {
    const refusal = async (...asked: Parameters<typeof quantize>) => (await quantize(...asked)).errors![0]!.extensions;
    expect(await refusal('nobody', 1)).toMatchObject({ code: 'NOT_FOUND', field: 'model' });
    expect(await refusal('tiny', 999)).toMatchObject({ code: 'NOT_FOUND', field: 'version' });
    expect(await refusal('tiny', 1, 'nowhere')).toMatchObject({ code: 'NOT_FOUND', field: 'dataset' });
    const inputShape = { height: 16, width: 16, channels: 1 };
    const input = { name: 'wide', inputShape, preset: 'RESNET20', classNames: ['a', 'b'] };
    await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', { input });
    await database.modelVersion.create({
      data: {
        modelId: (await database.model.findUniqueOrThrow({ where: { name: 'wide' } })).id, version: 1, definition: {},
        artifacts: { create: { kind: 'SAFETENSORS', sha256: '0'.repeat(64), bytes: 1 } },
      },
    }); // prettier-ignore
    const { message } = (await quantize('wide', 1, 'shapes')).errors![0]!;
    expect(message).toBe('shapes@1 has images of 1x8x8, wide takes 1x16x16');
  });

  test('by one data set is none by another', async () => {
    const { id: _id, name: _name, ...shapes } = await database.dataset.findFirstOrThrow({ where: { name: 'shapes' } });
    await database.dataset.create({ data: { ...shapes, name: 'others' } });
    expect((await quantize('tiny', 1, 'shapes')).errors).toBeUndefined();
    expect((await quantize('tiny', 1, 'others')).errors![0]!.extensions).toMatchObject({ code: 'CONFLICT', field: 'dataset' });
  });

  test('training starts from float32 weights alone', async () => {
    const input = { model: 'tiny', dataset: 'shapes', batchSize: 16, initialWeights: 'tiny:1#int8' };
    const start = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
    expect((await platform.graphql(start, { input })).errors![0]!.extensions).toMatchObject({
      code: 'BAD_USER_INPUT',
      field: 'input.initialWeights',
    });
  });
});

async function waitingForLocks(): Promise<number> {
  const [row] = await database.$queryRaw<{ waiting: bigint }[]>`
    SELECT count(*) AS waiting FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO %"Artifact"%'`;
  return Number(row!.waiting);
}
