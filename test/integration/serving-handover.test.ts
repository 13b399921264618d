import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore, type ObjectStore } from '../../src/infra/objects.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { freshName } from '../helpers/databases.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';

let platform: TestPlatform;
let database: Database;
let objects: ObjectStore;
let askOther: TestPlatform['graphql'];
beforeAll(async () => {
  platform = await startPlatform();
  askOther = await platform.startApi();
  database = connectDatabase(platform.env['DATABASE_URL']!);
  objects = createObjectStore(bucketOf(platform));
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const PREDICT = `query ($model: String!, $images: [Byte!]!) { predict(input: { model: $model, images: $images, topK: 1 }) {
  modelVersion { version } predictions { top { probability } } cacheHit } }`;
const STATS = `{ servingStats { loads failedLoads corruptLoads models { state reason bytes requests lastUsedAt
  version { version model { name } } } } }`;

interface Answer {
  readonly version: number;
  readonly probability: number;
  readonly cacheHit: boolean;
}

async function predict(model: string, ask = platform.graphql): Promise<Answer> {
  const { data, errors } = await ask(PREDICT, { model, images: [PNG] });
  if (errors) throw new Error(JSON.stringify(errors));
  const { modelVersion, predictions, cacheHit } = data.predict;
  return { version: modelVersion.version, probability: predictions[0].top[0].probability, cacheHit };
}

/** The first prediction of a model, and what a move of its name may take: 2 s, and twice what this machine loads in now. */
async function firstAnswer(model: string, ask = platform.graphql): Promise<Answer & { readonly moveMs: number }> {
  const since = performance.now();
  const answer = await predict(model, ask);
  return { ...answer, moveMs: 2_000 + 2 * (performance.now() - since) };
}

/** Asks without a pause until an answer is of `version`, which must be within `moveMs`, and for at least `forMs`. */
async function answersUntil(
  model: string,
  version: number,
  { moveMs, forMs = 0, ask = platform.graphql }: { moveMs: number; forMs?: number; ask?: TestPlatform['graphql'] },
): Promise<Answer[]> {
  const since = performance.now();
  const answers: Answer[] = [];
  while (answers.at(-1)?.version !== version || performance.now() - since < forMs) {
    if (performance.now() - since > Math.max(forMs, moveMs)) throw new Error(`no answer of version ${version} within ${moveMs} ms`);
    answers.push(await predict(model, ask));
  }
  return answers;
}

async function statesOf(name: string): Promise<unknown[]> {
  const { models } = (await platform.graphql(STATS)).data.servingStats;
  return models.filter(({ version }: { version: { model: { name: string } } }) => version.model.name === name);
}

test('a moved name is answered from memory throughout, in every process, by the new version within 2 s and its loading', async () => {
  const { model } = await publishRandomVersion({ database, objects }, await defineSmallModel(database, freshName('m-')), 1);
  const asks = [platform.graphql, askOther];
  const before = await Promise.all(asks.map((ask) => firstAnswer(model.name, ask)));
  await publishRandomVersion({ database, objects }, model, 2);
  const told = await Promise.all(asks.map((ask, index) => answersUntil(model.name, 2, { ask, moveMs: before[index]!.moveMs })));
  for (const [index, answers] of told.entries()) {
    expect(answers.every(({ cacheHit }) => cacheHit)).toBe(true);
    const ofVersion = (number: number) =>
      new Set(answers.filter(({ version }) => version === number).map(({ probability }) => probability));
    // No answer is of one version by name and of another by its numbers.
    expect([...ofVersion(1)]).toEqual([before[index]!.probability]);
    expect(ofVersion(2)).not.toContain(before[index]!.probability);
    expect(ofVersion(2).size).toBe(1);
  }
  expect((await predict(`${model.name}:1`)).version).toBe(1);
});

test('a name that moves while nobody asks is answered by the new version 2 s and its loading later, from memory', async () => {
  const { model } = await publishRandomVersion({ database, objects }, await defineSmallModel(database, freshName('m-')), 1);
  const { moveMs } = await firstAnswer(model.name);
  await publishRandomVersion({ database, objects }, model, 2);
  await sleep(moveMs);
  expect(await predict(model.name)).toMatchObject({ version: 2, cacheHit: true });
});

test('a new version whose object is corrupt is refused, counted and reported; the one before answers until a sound one comes', async () => {
  // What is stored under a hash already is not stored again: the version is published with the corrupt object.
  const donor = await publishRandomVersion({ database, objects }, await defineSmallModel(database, freshName('donor-')), 2);
  await corruptObject(bucketOf(platform), donor.sha256);
  const { model } = await publishRandomVersion({ database, objects }, await defineSmallModel(database, freshName('m-')), 1);
  const { probability, moveMs } = await firstAnswer(model.name);
  await publishRandomVersion({ database, objects }, model, 2);

  const answers = await answersUntil(model.name, 1, { moveMs, forMs: 3_000 });
  expect(answers.every((answer) => answer.version === 1 && answer.cacheHit && answer.probability === probability)).toBe(true);
  expect(await statesOf(model.name)).toMatchObject([
    { state: 'READY', reason: 'loaded', bytes: expect.any(Number), version: { version: 1 }, requests: answers.length + 1 },
    { state: 'FAILED', reason: expect.stringContaining(donor.sha256), bytes: 0, version: { version: 2 } },
  ]);
  const { corruptLoads, failedLoads } = (await platform.graphql(STATS)).data.servingStats;
  expect(corruptLoads).toBeGreaterThanOrEqual(1);
  expect(failedLoads).toBe(corruptLoads);
  const metrics = await (await fetch(new URL('/metrics', platform.url))).text();
  expect(metrics).toContain(`residual_model_loads_total{result="CORRUPT"} ${corruptLoads}`);
  expect(platform.api.said()).toMatch(new RegExp(`"model":"${model.name}:2".*${donor.sha256}.*model not loaded`));
  // To whom it never answered before, there is nothing to fall back on.
  await expect(predict(`${model.name}:2`)).rejects.toThrow('INTERNAL_SERVER_ERROR');

  await publishRandomVersion({ database, objects }, model, 3);
  const moved = await answersUntil(model.name, 3, { moveMs });
  expect(moved.every(({ cacheHit }) => cacheHit)).toBe(true);
});
