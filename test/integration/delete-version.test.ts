import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import type { Database } from '../../src/infra/database.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import type { Model, ModelVersion } from '../../src/infra/prisma/client.js';
import { publishVersion } from '../../src/registry/publish-version.js';
import { keysIn } from '../helpers/buckets.js';
import { freshName } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { bucketOf, storesOf } from '../helpers/platform-stores.js';
import { pictures, predict, streamPredictions } from '../helpers/predicting.js';
import { defineSmallModel, NORMALISATION, publishRandomVersion } from '../helpers/published-version.js';
import { createDatasetRow, createModelRow } from '../helpers/rows.js';
import { ask } from '../helpers/training.js';

let platform: TestPlatform;
let database: Database;
let objects: ObjectStore;
beforeAll(async () => {
  platform = await startPlatform({ env: { SERVING_THREADS: '1' } });
  ({ database, objects } = storesOf(platform));
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const SET = 'mutation ($model: String!, $version: Int!) { setAlias(model: $model, alias: "candidate", version: $version) { name } }';
const DELETE = 'mutation ($model: String!, $version: Int!) { deleteVersion(model: $model, version: $version) }';
const DELETE_MODEL = 'mutation ($model: String!) { deleteModel(name: $model) }';
const START = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';

/** `OK`, or what it was refused with and on which field. */
async function outcome(query: string, variables: object, graphql = platform.graphql): Promise<string> {
  const { errors } = await graphql(query, { ...variables });
  return errors === undefined ? 'OK' : `${errors[0]!.extensions.code} ${errors[0]!.extensions.field}`;
}

/** A version with nothing but its row and, where a hash is given, weights by that name. */
function publishRow(model: Model, safetensors?: string): Promise<ModelVersion> {
  return publishVersion(database, {
    runId: null,
    modelId: model.id,
    definition: model.definition as unknown as NetworkDefinition,
    classNames: model.classNames,
    ...NORMALISATION.grey,
    evaluation: null,
    artifacts: safetensors === undefined ? [] : [{ kind: 'SAFETENSORS', sha256: safetensors, bytes: 1 }],
  });
}

describe('deleting a version', () => {
  test('takes it and the objects that no other row names, and leaves the others', async () => {
    const model = await defineSmallModel(database, freshName('m-'));
    const hashes: string[] = [];
    for (const seed of [1, 2, 2]) hashes.push((await publishRandomVersion({ database, objects }, model, seed)).sha256);
    const stored = async () => {
      const keys = await keysIn(bucketOf(platform));
      return keys.map((key) => key.slice(-64)).filter((sha256) => hashes.includes(sha256));
    };
    for (const version of [1, 2]) expect(await outcome(DELETE, { model: model.name, version })).toBe('OK');
    expect(await stored()).toEqual([hashes[2]]);
    const query = 'query ($name: String!) { model(name: $name) { versions { nodes { version } } version(ref: "2") { id } } }';
    expect((await ask(platform, query, { name: model.name })).model).toEqual({ versions: { nodes: [{ version: 3 }] }, version: null });
    expect(await outcome(DELETE, { model: model.name, version: 2 })).toBe('NOT_FOUND version');
    expect(await outcome(DELETE, { model: 'none', version: 2 })).toBe('NOT_FOUND model');
  });

  test('is refused while an alias points at it', async () => {
    const model = await defineSmallModel(database, freshName('m-'));
    for (const seed of [1, 2]) await publishRandomVersion({ database, objects }, model, seed);
    await ask(platform, SET, { model: model.name, version: 1 });
    const { errors } = await platform.graphql(DELETE, { model: model.name, version: 1 });
    expect(errors?.[0]).toMatchObject({
      message: `the alias candidate points at ${model.name}:1: move or remove it first`,
      extensions: { code: 'CONFLICT', field: 'version' },
    });
    await ask(platform, SET, { model: model.name, version: 2 });
    expect(await outcome(DELETE, { model: model.name, version: 1 })).toBe('OK');
  });

  test('is refused until every run that starts from it has ended', async () => {
    const { model, input } = await tunable();
    const { version } = await publishRow(model, '1'.repeat(64));
    const other = await publishRow(model, '1'.repeat(64));
    const { startTraining } = await ask(platform, START, { input: { ...input, initialWeights: `${model.name}:${version}` } });
    for (const status of ['QUEUED', 'RUNNING', 'PAUSED'] as const) {
      await database.trainingRun.update({ where: { id: startTraining.id }, data: { status } });
      expect(await outcome(DELETE, { model: model.name, version })).toBe('CONFLICT version');
    }
    expect(await outcome(DELETE, { model: model.name, version: other.version })).toBe('OK');
    await database.trainingRun.update({ where: { id: startTraining.id }, data: { status: 'SUCCEEDED' } });
    expect(await outcome(DELETE, { model: model.name, version })).toBe('OK');
  });

  test('never lets its number be given again', async () => {
    const model = await createModelRow(database, freshName('m-'));
    const publish = async () => (await publishRow(model)).version;
    expect([await publish(), await publish()]).toEqual([1, 2]);
    await ask(platform, DELETE, { model: model.name, version: 2 });
    expect(await publish()).toBe(3);
    for (const version of [1, 3]) await ask(platform, DELETE, { model: model.name, version });
    const together = await Promise.all(Array.from({ length: 8 }, publish));
    expect(together.toSorted((a, b) => a - b)).toEqual([4, 5, 6, 7, 8, 9, 10, 11]);
  });

  test('and pointing an alias at it at once never leaves an alias on nothing', async () => {
    const model = await createModelRow(database, freshName('m-'));
    const second = await platform.startApi();
    for (let round = 0; round < 30; round++) {
      const variables = { model: model.name, version: (await publishRow(model)).version };
      const [set, deleted] = await Promise.all([outcome(SET, variables), outcome(DELETE, variables, second)]);
      expect([['OK', 'CONFLICT version'], ['NOT_FOUND version', 'OK']]).toContainEqual([set, deleted]);
    }
    const query = 'query ($name: String!) { model(name: $name) { aliases { version { version } } } }';
    expect((await platform.graphql(query, { name: model.name })).errors).toBeUndefined();
  });

  test('and starting a run from it at once never leaves a run without its weights', async () => {
    const { model, input } = await tunable();
    for (let round = 0; round < 30; round++) {
      const { version } = await publishRow(model, '2'.repeat(64));
      const initialWeights = `${model.name}:${version}`;
      const [started, deleted] = await Promise.all([
        outcome(START, { input: { ...input, initialWeights } }),
        outcome(DELETE, { model: model.name, version }),
      ]);
      expect([['OK', 'CONFLICT version'], ['NOT_FOUND input.initialWeights', 'OK']]).toContainEqual([started, deleted]);
    }
  });

  /** A model that a run can be started of, with nobody to train it. */
  async function tunable() {
    const model = await createModelRow(database, freshName('m-'));
    const dataset = await createDatasetRow(database, { name: freshName('d-') });
    return { model, input: { model: model.name, dataset: dataset.name, batchSize: 16 } };
  }
});

describe('predictions by what is deleted meanwhile', () => {
  const cacheBytes = async (graphql: TestPlatform['graphql']) =>
    Number((await graphql('{ servingStats { cacheBytes } }')).data.servingStats.cacheBytes);

  test.each([
    ['version', DELETE, { version: 1 }],
    ['model, with its aliases', DELETE_MODEL, {}],
  ])('of a %s are answered or NOT_FOUND in every process, and its memory is given back', async (_, deletion, more) => {
    const model = await defineSmallModel(database, freshName('m-'));
    for (const seed of [1, 2]) await publishRandomVersion({ database, objects }, model, seed);
    await ask(platform, SET, { model: model.name, version: 2 });
    const images = await pictures(2);
    const servers = [platform.graphql, await platform.startApi()];
    const before = await Promise.all(servers.map(cacheBytes));
    const streams = servers.map((graphql) => streamPredictions(() => predict(graphql, `${model.name}:1`, images), 3));
    await expect.poll(() => streams.every(({ answers }) => answers.length > 10), { timeout: 10_000 }).toBe(true);
    expect(await outcome(deletion, { model: model.name, ...more })).toBe('OK');
    const deletedAt = performance.now();
    const refused = () => streams.every(({ answers }) => answers.at(-1)?.code === 'NOT_FOUND');
    await expect.poll(refused, { timeout: 20_000 }).toBe(true);
    const answers = (await Promise.all(streams.map(({ stop }) => stop()))).flat();
    // By when they were asked: how long a busy machine takes to answer is another matter.
    const lastAnswered = Math.max(...answers.filter(({ code }) => code === 'OK').map(({ begunAt }) => begunAt - deletedAt));
    expect(lastAnswered).toBeLessThan(2_000);
    expect(new Set(answers.map(({ code }) => code))).toEqual(new Set(['OK', 'NOT_FOUND']));
    await expect.poll(() => Promise.all(servers.map(cacheBytes)), { timeout: 8_000, interval: 200 }).toEqual(before);
  });
});
