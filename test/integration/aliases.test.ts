import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/infra/database.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import { freshName } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { storesOf } from '../helpers/platform-stores.js';
import { pictures, predict, streamPredictions, type Answered } from '../helpers/predicting.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';
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

/** A model with so many versions that answer differently. */
async function modelWith(versions: number): Promise<string> {
  const model = await defineSmallModel(database, freshName('m-'));
  for (let seed = 1; seed <= versions; seed++) await publishRandomVersion({ database, objects }, model, seed);
  return model.name;
}

const SET = `mutation ($model: String!, $alias: String!, $version: Int!) {
  setAlias(model: $model, alias: $alias, version: $version) { name updatedAt version { version aliases } } }`;
const REMOVE = 'mutation ($model: String!, $alias: String!) { removeAlias(model: $model, alias: $alias) }';

describe('an alias', () => {
  test('points at a version, moves to another, and is read from the model and from the version', async () => {
    const model = await modelWith(2);
    await ask(platform, SET, { model, alias: 'production', version: 1 });
    const { setAlias: first } = await ask(platform, SET, { model, alias: 'candidate', version: 1 });
    expect(first).toMatchObject({ name: 'candidate', version: { version: 1, aliases: ['candidate', 'production'] } });
    const { setAlias: moved } = await ask(platform, SET, { model, alias: 'candidate', version: 2 });
    expect(moved).toMatchObject({ name: 'candidate', version: { version: 2, aliases: ['candidate'] } });
    expect(Date.parse(moved.updatedAt)).toBeGreaterThan(Date.parse(first.updatedAt));
    const read = await ask(
      platform,
      `query ($model: String!) { model(name: $model) { aliases { name updatedAt version { version } }
        byNumber: version(ref: "1") { version aliases } latest: version(ref: "latest") { version }
        byAlias: version(ref: "production") { version } byNone: version(ref: "staging") { version } } }`,
      { model },
    );
    expect(read.model).toEqual({
      aliases: [
        { name: 'candidate', updatedAt: moved.updatedAt, version: { version: 2 } },
        { name: 'production', updatedAt: expect.any(String), version: { version: 1 } },
      ],
      byNumber: { version: 1, aliases: ['production'] },
      latest: { version: 2 },
      byAlias: { version: 1 },
      byNone: null,
    });
  });

  test('that is removed is gone, and its version stays', async () => {
    const model = await modelWith(1);
    await ask(platform, SET, { model, alias: 'candidate', version: 1 });
    expect(await ask(platform, REMOVE, { model, alias: 'candidate' })).toEqual({ removeAlias: true });
    const again = await platform.graphql(REMOVE, { model, alias: 'candidate' });
    expect(again.errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'alias' });
    const query = 'query ($model: String!) { model(name: $model) { aliases { name } versions { totalCount } } }';
    const read = await ask(platform, query, { model });
    expect(read.model).toEqual({ aliases: [], versions: { totalCount: 1 } });
  });

  test.each(['latest', '3', '3a', 'Production', '-x', '', 'a b', 'a'.repeat(64), 'prod@x'])('is not named %j', async (alias) => {
    const { errors } = await platform.graphql(SET, { model: 'none', alias, version: 1 });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'alias' });
  });

  test('of what is not there is refused with the name at fault', async () => {
    const model = await modelWith(1);
    const refusal = async (input: object) => {
      const { errors } = await platform.graphql(SET, { model, alias: 'a', version: 1, ...input });
      return errors?.[0]?.extensions;
    };
    expect(await refusal({ model: 'none' })).toMatchObject({ code: 'NOT_FOUND', field: 'model' });
    for (const version of [0, 2, -1, 2 ** 31 - 1])
      expect(await refusal({ version })).toMatchObject({ code: 'NOT_FOUND', field: 'version' });
  });

  test('set by many at once to different versions ends at one of them', async () => {
    const model = await modelWith(3);
    const setting = Array.from({ length: 24 }, (_, index) =>
      ask(platform, SET, { model, alias: 'production', version: 1 + (index % 3) }),
    );
    await Promise.all(setting);
    expect(await database.modelAlias.count({ where: { model: { name: model } } })).toBe(1);
  });
});

describe('a prediction', () => {
  test('by a bare name is by @production where there is such an alias, else by the latest version', async () => {
    const model = await modelWith(3);
    const images = await pictures(1);
    const versionOf = async (reference: string) => (await predict(platform.graphql, reference, images)).version;
    expect(await versionOf(model)).toBe(3);
    // In memory, as below: the two seconds are those of the move, not of loading (serving-handover.test.ts tells of that).
    for (const version of [1, 2]) expect(await versionOf(`${model}:${version}`)).toBe(version);
    await ask(platform, SET, { model, alias: 'production', version: 1 });
    await ask(platform, SET, { model, alias: 'candidate', version: 2 });
    await sleep(2_000);
    expect(await versionOf(model)).toBe(1);
    const references = ['@production', '@candidate', ':latest', ':2'];
    expect(await Promise.all(references.map((rest) => versionOf(`${model}${rest}`)))).toEqual([1, 2, 3, 2]);
    await ask(platform, REMOVE, { model, alias: 'production' });
    await sleep(2_000);
    expect(await versionOf(model)).toBe(3);
  });

  test('in two processes while its alias moves to and fro is wholly by the old or the new version, within 2 s by the new', async () => {
    const model = await modelWith(2);
    const images = await pictures(3);
    const servers = [platform.graphql, await platform.startApi()];
    await ask(platform, SET, { model, alias: 'production', version: 1 });
    const answersOf = (version: number) => Promise.all(servers.map((graphql) => predict(graphql, `${model}:${version}`, images)));
    const [[one], [two]] = [await answersOf(1), await answersOf(2)];
    expect(distance(one!, two!)).toBeGreaterThan(0.01);

    const streams = servers.map((graphql) => streamPredictions(() => predict(graphql, `${model}@production`, images), 4));
    const moveTo = (round: number) => servers[round % 2]!(SET, { model, alias: 'production', version: 1 + (round % 2) });
    for (let round = 1; round <= 4; round++) {
      const moved = await moveTo(round);
      expect(moved.errors).toBeUndefined();
      const version = 1 + (round % 2);
      const movedAt = performance.now();
      const arrived = ({ answers }: (typeof streams)[number]) =>
        answers.find((answer) => answer.begunAt > movedAt && answer.version === version);
      await expect.poll(() => streams.every(arrived), { timeout: 20_000, interval: 20 }).toBe(true);
      for (const stream of streams) {
        const others = stream.answers.filter((answer) => answer.begunAt > movedAt && answer.version !== version);
        const lastAskedMs = Math.max(0, ...others.map(({ begunAt }) => begunAt - movedAt));
        // By when they were asked: how long a busy machine takes to answer is another matter.
        expect(lastAskedMs).toBeLessThan(2_000);
        expect(movedAt + lastAskedMs).toBeLessThan(arrived(stream)!.endedAt);
      }
    }
    for (let round = 1; round <= 40; round++) await moveTo(round);
    const answers = (await Promise.all(streams.map(({ stop }) => stop()))).flat();

    expect(answers.length).toBeGreaterThan(100);
    expect(answers.filter(({ code }) => code !== 'OK')).toEqual([]);
    expect(new Set(answers.map(({ version }) => version))).toEqual(new Set([1, 2]));
    const own = (answer: Answered) => distance(answer, answer.version === 1 ? one! : two!);
    expect(Math.max(...answers.map(own))).toBeLessThan(1e-4);
  });

  /** The largest difference of a probability. */
  function distance(a: Answered, b: Answered): number {
    expect(a.probabilities).toHaveLength(b.probabilities!.length);
    const others = b.probabilities!.flat();
    return Math.max(...a.probabilities!.flat().map((value, index) => Math.abs(value - others[index]!)));
  }
});
