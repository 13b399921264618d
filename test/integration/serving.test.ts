import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { decodeImage } from '../../src/infra/images.js';
import { createMetrics } from '../../src/infra/metrics.js';
import { CorruptObjectError, createObjectStore, type ObjectStore } from '../../src/infra/objects.js';
import { deleteVersion } from '../../src/registry/delete-version.js';
import { findVersion, listVersions } from '../../src/registry/find-version.js';
import { resolveVersion } from '../../src/registry/resolve.js';
import { setAlias } from '../../src/registry/set-alias.js';
import { modelBytes } from '../../src/serving/load-model.js';
import { createPredictor, type Predictor, type PredictorOptions } from '../../src/serving/predict.js';
import { evaluationBatches } from '../../src/training/batches.js';
import { freshBucket } from '../helpers/buckets.js';
import { dropDatabase, freshDatabase } from '../helpers/databases.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { defineSmallModel, NORMALISATION, publishRandomVersion, type PublishedVersion } from '../helpers/published-version.js';

let databaseUrl: string;
let database: Database;
let bucket: Awaited<ReturnType<typeof freshBucket>>;
let objects: ObjectStore;
let cats: PublishedVersion;
let digits: PublishedVersion;
const predictors: Predictor[] = [];

beforeAll(async () => {
  databaseUrl = await freshDatabase();
  database = connectDatabase(databaseUrl);
  bucket = await freshBucket();
  objects = createObjectStore(bucket);
  cats = await publish('cats');
  digits = await publish('digits', 1);
});

afterAll(async () => {
  await Promise.all(predictors.map((predictor) => predictor.close()));
  await database.$disconnect();
  await dropDatabase(databaseUrl);
});

async function publish(name: string, channels: 1 | 3 = 3, seed = 1): Promise<PublishedVersion> {
  return publishRandomVersion({ database, objects }, await defineSmallModel(database, name, channels), seed);
}

function start(options: Partial<PredictorOptions> = {}): Predictor {
  const metrics = createMetrics();
  const predictor = createPredictor({
    database, objects, metrics, cacheBytes: 1024 ** 3, threads: 1, maxPixels: 1_000_000, ...options,
  }); // prettier-ignore
  predictors.push(predictor);
  return predictor;
}

/** A picture that differs from seed to seed. */
function picture(seed: number, format: 'png' | 'jpeg' | 'webp' = 'png', grey = false): Promise<Buffer> {
  const [width, height] = [48, 40];
  const pixels = Uint8Array.from({ length: width * height * 3 }, (_, index) => 128 + 120 * Math.sin(index * (0.01 + seed * 0.003)));
  const image = sharp(pixels, { raw: { width, height, channels: 3 } });
  return (grey ? image.greyscale() : image)[format]().toBuffer();
}

/** The probabilities as onnxruntime gives them for the input that training would have made of the same pixels. */
async function expectedProbabilities({ model, onnx }: PublishedVersion, image: Uint8Array): Promise<Float32Array> {
  const { height, width, channels } = model;
  const shape = { height, width, channels };
  const pixels = await decodeImage(image, shape, 1_000_000);
  const gather = (_split: unknown, _indices: unknown, into: Uint8Array) => into.set(pixels);
  const source = { shape, size: () => 1, labels: () => new Int32Array(1), gather };
  const [batch] = evaluationBatches(source, 'TEST', channels === 1 ? NORMALISATION.grey : NORMALISATION.rgb, 1);
  const area = height * width;
  const planes = Float32Array.from(batch!.images, (_, index) => batch!.images[(index % area) * channels + Math.floor(index / area)]!);
  const session = await InferenceSession.create(onnx);
  const { probabilities } = await session.run({ input: new Tensor('float32', planes, [1, channels, height, width]) });
  await session.release();
  return probabilities!.data as Float32Array;
}

const asExpected = (probabilities: Float32Array) =>
  [...probabilities]
    .map((probability, index) => ({ index, className: `class ${index}`, probability: expect.closeTo(probability, 5) }))
    .sort((a, b) => probabilities[b.index]! - probabilities[a.index]!);

describe('a prediction', () => {
  it.each(['png', 'jpeg', 'webp'] as const)('is what onnxruntime says of the training input, for colour and grey %s', async (format) => {
    const predictor = start();
    for (const served of [cats, digits])
      for (const grey of [false, true]) {
        const image = await picture(3, format, grey);
        const { predictions, version } = await predictor.predict({ model: served.model.name, images: [image], topK: 10 });
        expect(predictions[0]!.top).toEqual(asExpected(await expectedProbabilities(served, image)));
        expect(version.id).toBe(served.version.id);
      }
  });

  it('answers 64 images in their order, in batches of 32', async () => {
    const images = await Promise.all(Array.from({ length: 64 }, (_, seed) => picture(seed)));
    const predictor = start();
    const { predictions, batchSize } = await predictor.predict({ model: 'cats', images, topK: 1 });
    expect(batchSize).toBe(32);
    for (const place of [0, 31, 32, 63]) {
      const alone = await predictor.predict({ model: 'cats', images: [images[place]!], topK: 1 });
      const [score] = alone.predictions[0]!.top;
      expect(predictions[place]!.top[0]).toEqual({ ...score, probability: expect.closeTo(score!.probability, 5) });
    }
  });

  it('gives topK classes, and all of them where more are asked for', async () => {
    const predictor = start();
    const images = [await picture(1)];
    const top = async (topK: number) => (await predictor.predict({ model: 'cats', images, topK })).predictions[0]!.top;
    expect(await top(3)).toHaveLength(3);
    expect(await top(500)).toHaveLength(10);
  });

  it('says whether the model was in memory, how long it took, and counts both', async () => {
    const predictor = start();
    const images = [await picture(1), await picture(2)];
    expect(predictor.isCached(cats.version.id)).toBe(false);
    const first = await predictor.predict({ model: 'cats', images, topK: 1 });
    const second = await predictor.predict({ model: 'cats:1', images, topK: 1 });
    expect([first.cacheHit, second.cacheHit, predictor.isCached(cats.version.id)]).toEqual([false, true, true]);
    const stats = predictor.stats();
    expect(stats).toMatchObject({ requests: 2, images: 4, cacheHits: 1, cacheMisses: 1, evictions: 0, meanBatchSize: 2 });
    expect(stats.latencyMs.p50).toBe(Math.min(first.latencyMs, second.latencyMs));
    expect(stats.latencyMs.p99).toBe(Math.max(first.latencyMs, second.latencyMs));
    expect(stats.cachedModels).toMatchObject([{ versionId: cats.version.id, bytes: stats.cacheBytes, requests: 2 }]);
  });

  it('shares batches and loads the model once where 50 requests come together', async () => {
    const metrics = createMetrics();
    const predictor = start({ metrics });
    const images = await Promise.all(Array.from({ length: 50 }, (_, seed) => picture(seed)));
    const answers = await Promise.all(images.map((image) => predictor.predict({ model: 'cats', images: [image], topK: 1 })));
    expect(Math.max(...answers.map(({ batchSize }) => batchSize))).toBeGreaterThan(4);
    expect(predictor.stats().meanBatchSize).toBeGreaterThan(2);
    expect(predictor.states()).toHaveLength(1);
    const alone = await predictor.predict({ model: 'cats', images: [images[17]!], topK: 1 });
    expect(answers[17]!.predictions[0]!.top[0]!.index).toBe(alone.predictions[0]!.top[0]!.index);
    const text = await metrics.registry.metrics();
    expect(text).toContain('residual_predictions_total{code="OK"} 51');
    expect(text).toContain('residual_model_cache_models 1');
  });

  it('of the latest version is by a new version within two seconds', async () => {
    const predictor = start();
    const first = await publish('growing');
    const images = [await picture(1)];
    const ask = async () => (await predictor.predict({ model: 'growing', images, topK: 1 })).version.version;
    expect(await ask()).toBe(1);
    await publishRandomVersion({ database, objects }, first.model, 2);
    // Both in memory: how long it takes to load one is the machine's affair.
    for (const version of [2, 1])
      expect((await predictor.predict({ model: `growing:${version}`, images, topK: 1 })).version.version).toBe(version);
    await sleep(2_000);
    expect(await ask()).toBe(2);
    expect((await predictor.predict({ model: 'growing:1', images, topK: 1 })).version.version).toBe(1);
  });
});

describe('a prediction is refused', () => {
  it('with the image at fault where one is no image', async () => {
    const images = [await picture(1), Buffer.from('no image'), Buffer.alloc(0)];
    const prediction = start().predict({ model: 'cats', images, topK: 1 });
    await expect(prediction).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.images.1' });
  });

  it('with the image at fault where one has too many pixels', async () => {
    const large = await sharp({ create: { width: 1001, height: 1000, channels: 3, background: 'red' } }).png().toBuffer();
    const prediction = start({ maxPixels: 1_000_000 }).predict({ model: 'cats', images: [large], topK: 1 });
    await expect(prediction).rejects.toMatchObject({ code: 'PAYLOAD_TOO_LARGE', field: 'input.images.0' });
  });

  it('without images, with 65, and with a topK below 1', async () => {
    const predictor = start();
    const image = await picture(1);
    const refusal = (count: number, topK: number) => predictor.predict({ model: 'cats', images: Array<Buffer>(count).fill(image), topK });
    await expect(refusal(0, 1)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.images' });
    await expect(refusal(65, 1)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.images' });
    for (const topK of [0, -1, 1.5, NaN])
      await expect(refusal(1, topK)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.topK' });
  });

  it('with what there is where the reference names nothing', async () => {
    await defineSmallModel(database, 'untrained');
    const refusal = async (model: string) => start().predict({ model, images: [await picture(1)], topK: 1 });
    const missing = (message: string) => ({ code: 'NOT_FOUND', field: 'input.model', message });
    await expect(refusal('dogs')).rejects.toMatchObject(missing('there is no model dogs'));
    await expect(refusal('untrained')).rejects.toMatchObject(missing('model untrained has no versions yet: train it first'));
    await expect(refusal('cats:9')).rejects.toMatchObject(missing('model cats has no version 9; its newest is 1'));
    await expect(refusal('cats@production')).rejects.toMatchObject(missing('model cats has no alias production; it has none'));
    await setAlias({ database }, 'cats', 'candidate', 1);
    await expect(refusal('cats@staging')).rejects.toMatchObject(missing('model cats has no alias staging; it has candidate'));
  });

  it('as NOT_FOUND where the version was deleted after its reference was looked up and has to be loaded', async () => {
    const predictor = start();
    const image = await picture(1);
    const ask = (model: string) => predictor.predict({ model, images: [image], topK: 1 });
    let models = 0;
    const dooms = async () => {
      const name = `doomed-${models++}`;
      const { sha256 } = await publish(name, 3, 7 + models);
      // Looked up, and yet not in memory.
      await corruptObject(bucket, sha256);
      await expect(ask(name)).rejects.toThrow(CorruptObjectError);
      await deleteVersion({ database, objects }, name, 1);
      await expect(ask(name)).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'input.model', message: `${name}:1 was deleted` });
    };
    // Once more where a busy machine took longer than a looked up reference holds, which is a second.
    await vi.waitFor(dooms, { timeout: 30_000 });
  });

  it('where the stored model is corrupt, and nothing stays in memory; the versions before it go on', async () => {
    const predictor = start();
    const sound = await publish('mixed');
    const corrupt = await publishRandomVersion({ database, objects }, sound.model, 2);
    await corruptObject(bucket, corrupt.sha256);
    const images = [await picture(1)];
    for (let attempt = 0; attempt < 2; attempt++)
      await expect(predictor.predict({ model: 'mixed', images, topK: 1 })).rejects.toThrow(CorruptObjectError);
    expect(predictor.isCached(corrupt.version.id)).toBe(false);
    expect(predictor.stats().cacheBytes).toBe(0);
    expect(predictor.states()).toMatchObject([
      { key: corrupt.version.id, state: 'FAILED', reason: expect.stringContaining(corrupt.sha256) },
    ]);
    expect((await predictor.predict({ model: 'mixed:1', images, topK: 1 })).version.id).toBe(sound.version.id);
  });

  it('where the model alone is larger than the budget', async () => {
    const predictor = start({ cacheBytes: 1024 ** 2 });
    await expect(predictor.predict({ model: 'cats', images: [await picture(1)], topK: 1 })).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: expect.stringMatching(/^cats:1 would take \d+ bytes/),
    });
  });

  it('with RATE_LIMITED at once where too many images wait, and those that wait are answered', async () => {
    const predictor = start();
    const images = Array<Buffer>(64).fill(await picture(1));
    const results = await Promise.allSettled(Array.from({ length: 20 }, () => predictor.predict({ model: 'cats', images, topK: 1 })));
    const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => (reason as { code: string }).code);
    expect(refused).toEqual(Array(4).fill('RATE_LIMITED'));
    expect((await predictor.predict({ model: 'cats', images, topK: 1 })).predictions).toHaveLength(64);
  });

  it('with its own reason where the client gives up, and the model stays free for others', async () => {
    const predictor = start();
    const client = new AbortController();
    const images = [await picture(1)];
    const given = predictor.predict({ model: 'cats', images, topK: 1 }, client.signal);
    client.abort(new Error('gone'));
    await expect(given).rejects.toThrow('gone');
    expect((await predictor.predict({ model: 'cats', images, topK: 1 })).predictions).toHaveLength(1);
  });
});

describe('models in memory', () => {
  it('make room for each other under a small budget, the least recently used first', async () => {
    const versions = [await publish('one'), await publish('two'), await publish('three')];
    const bytes = modelBytes(await resolveVersion({ database }, 'one'));
    const predictor = start({ cacheBytes: 2 * bytes });
    const images = [await picture(1)];
    for (const model of ['one', 'two', 'one', 'three', 'two']) await predictor.predict({ model, images, topK: 1 });
    expect(versions.map(({ version }) => predictor.isCached(version.id))).toEqual([false, true, true]);
    expect(predictor.stats()).toMatchObject({ evictions: 2, cacheHits: 1, cacheMisses: 4, cacheBytes: 2 * bytes });
  });

  it('that were lost with their thread are told of as unavailable once, and loaded again', async () => {
    const threads: Worker[] = [];
    const remember = (thread: Worker) => void threads.push(thread);
    process.on('worker', remember);
    const predictor = start();
    const ask = async () => predictor.predict({ model: 'cats', images: [await picture(1)], topK: 1 });
    await ask();
    process.off('worker', remember);
    await threads[0]!.terminate();
    await expect(ask()).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(await ask()).toMatchObject({ cacheHit: false });
  });

  it('are released after everything under way is answered, when the predictor closes', async () => {
    const predictor = start();
    const images = await Promise.all([1, 2, 3].map((seed) => picture(seed)));
    const underWay = Array.from({ length: 20 }, () => predictor.predict({ model: 'cats', images, topK: 1 }));
    const closing = predictor.close();
    await expect(predictor.predict({ model: 'cats', images, topK: 1 })).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(await Promise.all(underWay)).toHaveLength(20);
    await closing;
    expect([predictor.isCached(cats.version.id), predictor.stats().cacheBytes]).toEqual([false, 0]);
  });
});

describe("a model's versions", () => {
  it('are listed newest first, page by page, and found by number or as latest', async () => {
    const { model } = await publish('many');
    for (const seed of [2, 3]) await publishRandomVersion({ database, objects }, model, seed);
    const first = await listVersions({ database }, model.id, { first: 2 });
    expect([first.items.map(({ version }) => version), first.hasNextPage, first.totalCount]).toEqual([[3, 2], true, 3]);
    const second = await listVersions({ database }, model.id, { first: 2, after: first.placeOf!(first.items[1]!) });
    expect([second.items.map(({ version }) => version), second.hasNextPage]).toEqual([[1], false]);
    expect((await findVersion({ database }, model.id, '2'))?.version).toBe(2);
    expect((await findVersion({ database }, model.id, 'latest'))?.version).toBe(3);
    expect(await findVersion({ database }, model.id, '4')).toBeNull();
    expect(await findVersion({ database }, model.id, 'production')).toBeNull();
    await expect(findVersion({ database }, model.id, '0')).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'ref' });
  });
});
