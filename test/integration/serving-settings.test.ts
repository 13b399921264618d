import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { freshName } from '../helpers/databases.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';

let platform: TestPlatform;
let database: Database;
beforeAll(async () => {
  platform = await startPlatform();
  database = connectDatabase(platform.env['DATABASE_URL']!);
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const PREDICT = `query ($model: String!, $images: [Byte!]!) { predict(input: { model: $model, images: $images, topK: 1 }) {
  batchSize latencyMs cacheHit } }`;
const SETTINGS = 'query ($name: String!) { model(name: $name) { serving { maxBatch maxDelayMs maxQueue } } }';
const CONFIGURE = `mutation ($model: String!, $input: ServingSettingsInput!) {
  configureServing(model: $model, input: $input) { maxBatch maxDelayMs maxQueue } }`;

async function servedModel(): Promise<string> {
  const model = await defineSmallModel(database, freshName('m-'));
  await publishRandomVersion({ database, objects: createObjectStore(bucketOf(platform)) }, model, 1);
  return model.name;
}

const predict = (model: string, images = 1, ask = platform.graphql) =>
  ask(PREDICT, { model, images: Array<string>(images).fill(PNG) });
const configure = (model: string, input: object) => platform.graphql(CONFIGURE, { model, input });

/** The sum of a metric over its labels, or of those with the labels given. */
async function metric(name: string, labels = ''): Promise<number> {
  const text = await (await fetch(new URL('/metrics', platform.url))).text();
  const lines = text.split('\n').filter((line) => line.startsWith(`residual_${name}`) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

describe("a model's serving settings", () => {
  test('are the defaults until some are set; the others stay', async () => {
    const model = await servedModel();
    const read = async () => (await platform.graphql(SETTINGS, { name: model })).data.model.serving;
    const set = async (input: object) => (await configure(model, input)).data.configureServing;
    expect(await read()).toEqual({ maxBatch: 32, maxDelayMs: 0, maxQueue: 1024 });
    expect(await set({ maxBatch: 8, maxDelayMs: 5 })).toEqual({ maxBatch: 8, maxDelayMs: 5, maxQueue: 1024 });
    expect(await set({ maxQueue: 64, maxDelayMs: null })).toEqual({ maxBatch: 8, maxDelayMs: 5, maxQueue: 64 });
    expect(await set({})).toEqual(await read());
  });

  test.each([
    ['maxBatch', 0], ['maxBatch', 257], ['maxDelayMs', -1], ['maxDelayMs', 10_001], ['maxQueue', 0], ['maxQueue', 1_025],
  ])('refuse a %s of %d by its field and change nothing', async (name, value) => {
    const model = await servedModel();
    const { errors } = await configure(model, { maxBatch: 16, [name]: value });
    expect(errors?.[0]?.message).toMatch(/whole number from \d+ to \d+/);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: `input.${name}` });
    expect((await configure(model, {})).data.configureServing).toEqual({ maxBatch: 32, maxDelayMs: 0, maxQueue: 1024 });
  }); // prettier-ignore

  test('of a model that is not there are NOT_FOUND', async () => {
    expect((await configure('nobody', {})).errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'model' });
  });

  test('hold in every process within 2 s, for the model as it is in memory', async () => {
    const model = await servedModel();
    const asks = [platform.graphql, await platform.startApi()];
    for (const ask of asks) expect((await predict(model, 8, ask)).data.predict.batchSize).toBe(8);
    await configure(model, { maxBatch: 3 });
    await sleep(2_000);
    for (const ask of asks) expect((await predict(model, 8, ask)).data.predict).toMatchObject({ batchSize: 3, cacheHit: true });
  });

  test('decide why a batch is released, which the metrics tell', async () => {
    const model = await servedModel();
    const released = async (reason: string) => metric('prediction_batches_total', `reason="${reason}"`);
    const before = { idle: await released('idle'), delay: await released('delay'), full: await released('full') };
    await predict(model);
    expect(await released('idle')).toBe(before.idle + 1);
    await configure(model, { maxDelayMs: 300, maxBatch: 4 });
    await sleep(2_000);
    expect((await predict(model)).data.predict.latencyMs).toBeGreaterThan(290);
    expect(await released('delay')).toBe(before.delay + 1);
    expect((await predict(model, 4)).data.predict.latencyMs).toBeLessThan(290);
    expect(await released('full')).toBe(before.full + 1);
  });

  test('bound the queue: what is over maxQueue is RATE_LIMITED at once, what waits is answered', async () => {
    const model = await servedModel();
    await configure(model, { maxQueue: 8, maxDelayMs: 3_000 });
    await predict(model);
    const waiting = [predict(model, 6), predict(model, 2)];
    await vi.waitFor(async () => expect(await metric('prediction_pending_images')).toBe(8), { timeout: 2_500 });
    const { errors: refusal } = await predict(model);
    // Before what waits was computed.
    expect(await metric('prediction_pending_images')).toBe(8);
    expect(refusal?.[0]?.extensions).toMatchObject({ code: 'RATE_LIMITED', retryable: true });
    for (const { errors, data } of await Promise.all(waiting)) expect([errors, data.predict.batchSize]).toEqual([undefined, 8]);
    // Nothing waits: there is room again, also for a request that alone is larger.
    expect((await predict(model, 20)).errors).toBeUndefined();
  });
});

test('a prediction that its client gave up over HTTP while it waited is never computed, and counted as given up', async () => {
  const model = await servedModel();
  await configure(model, { maxDelayMs: 3_000 });
  await predict(model);
  const before = { images: await metric('prediction_batch_images_sum'), aborted: await metric('predictions_total', 'code="ABORTED"') };
  const preprocessed = await metric('prediction_preprocess_seconds_count');
  const client = new AbortController();
  const given = fetch(platform.url, {
    method: 'POST',
    signal: client.signal,
    headers: { 'content-type': 'application/json', authorization: `Bearer ${platform.adminKey}` },
    body: JSON.stringify({ query: PREDICT, variables: { model, images: Array(5).fill(PNG) } }),
  });
  await vi.waitFor(async () => expect(await metric('prediction_preprocess_seconds_count')).toBe(preprocessed + 1), { timeout: 15_000 });
  client.abort();
  await expect(given).rejects.toThrow('abort');
  await vi.waitFor(async () => expect(await metric('predictions_total', 'code="ABORTED"')).toBe(before.aborted + 1), { timeout: 15_000 });
  expect(await metric('prediction_pending_images')).toBe(0);
  const { data } = await predict(model, 2);
  expect(data.predict.batchSize).toBe(2);
  expect(await metric('prediction_batch_images_sum')).toBe(before.images + 2);
});

test('waiting, preprocessing and computing are told apart, in servingStats and in the metrics', async () => {
  const model = await servedModel();
  await configure(model, { maxDelayMs: 400 });
  const counts = async () => Promise.all(['preprocess', 'queue', 'compute'].map((part) => metric(`prediction_${part}_seconds_count`)));
  const sums = async () => Promise.all(['preprocess', 'queue', 'compute'].map((part) => metric(`prediction_${part}_seconds_sum`)));
  const [countsBefore, sumsBefore] = [await counts(), await sums()];
  await predict(model);
  expect(await counts()).toEqual(countsBefore.map((count) => count + 1));
  const [preprocess, queue, compute] = (await sums()).map((sum, index) => sum - sumsBefore[index]!);
  expect(queue).toBeGreaterThan(0.35);
  for (const part of [preprocess, compute]) {
    expect(part).toBeGreaterThan(0);
    expect(part).toBeLessThan(0.35);
  }
  const parts = 'latencyMs { p99 } preprocessMs { p50 } queueMs { p99 } computeMs { p50 }';
  const { data } = await platform.graphql(`{ servingStats { pendingImages ${parts} } }`);
  const { pendingImages, latencyMs, preprocessMs, queueMs, computeMs } = data.servingStats;
  expect(pendingImages).toBe(0);
  expect(latencyMs.p99).toBeGreaterThan(queueMs.p99);
  expect(queueMs.p99).toBeGreaterThan(350);
  for (const { p50 } of [preprocessMs, computeMs]) expect(p50).toBeGreaterThan(0);
});
