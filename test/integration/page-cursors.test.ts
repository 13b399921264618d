import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Database } from '../../src/infra/database.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { storesOf } from '../helpers/platform-stores.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

/** A list that has six rows. A cursor holds a row's place. */
interface List {
  /** Of the query, around `list`. */
  readonly within?: string;
  readonly field: string;
  /** A place in a list of another kind. */
  readonly foreign: string;
  remove(place: string): PromiseLike<unknown>;
}

let platform: TestPlatform;
let database: Database;
let runId: string;
beforeAll(async () => {
  platform = await startPlatform();
  ({ database } = storesOf(platform));
  const numbers = [1, 2, 3, 4, 5, 6];
  const models = await Promise.all(numbers.map((number) => createModelRow(database, `m-${number}`)));
  const datasets = await Promise.all(numbers.map((version) => createDatasetRow(database, { version })));
  const [model, dataset] = [models[0]!, datasets[0]!];
  ({ id: runId } = await createRunRow(database, { model, dataset }));
  await database.sweep.createMany({ data: numbers.map((number) => ({ name: `s-${number}`, status: 'SUCCEEDED', config: {}, trials: 1 })) });
  const nothing = { definition: {}, classNames: [], channelMean: [], channelStd: [] };
  await database.modelVersion.createMany({ data: numbers.map((version) => ({ modelId: model.id, version, ...nothing })) });
  await database.logLine.createMany({ data: numbers.map((number) => ({ runId, level: 'info', message: `${number}` })) });
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const ID = '01900000-0000-7000-8000-000000000000';
const LISTS: Record<string, List> = {
  'lines of a log': {
    within: 'run(id: $run)', field: 'logs', foreign: 'VERSION:1',
    remove: (id) => database.logLine.delete({ where: { id: BigInt(id) } }),
  },
  'versions of a model': {
    within: 'model(name: "m-1")', field: 'versions', foreign: ID,
    remove: (place) => database.modelVersion.deleteMany({ where: { version: Number(place.split(':')[1]) } }),
  },
  sweeps: { field: 'sweeps', foreign: '1', remove: (id) => database.sweep.delete({ where: { id } }) },
  // These two last: a run holds on to its data set, and a model takes its versions along.
  'data sets': {
    field: 'datasets', foreign: 'NUMBER:1',
    remove: async (id) => {
      await database.trainingRun.deleteMany();
      await database.dataset.delete({ where: { id } });
    },
  },
  models: { field: 'models', foreign: 'VERSION:1', remove: (id) => database.model.delete({ where: { id } }) },
}; // prettier-ignore

async function ask({ within = '', field }: List, page: string) {
  const list = `list: ${field}(${page}) { edges { cursor } pageInfo { hasNextPage hasPreviousPage } }`;
  const used = within.includes('$run') ? '($run: ID!)' : '';
  return platform.graphql(`query ${used} { ${within === '' ? list : `owner: ${within} { ${list} }`} }`, { run: runId });
}

async function read(list: List, page: string) {
  const { data } = await ask(list, page);
  const { edges, pageInfo } = data.list ?? data.owner.list;
  return { cursors: edges.map(({ cursor }: { cursor: string }) => cursor), ...pageInfo };
}

const placeIn = (cursor: string) => Buffer.from(cursor, 'base64url').toString().replace(/^after:/, '');
const cursorOf = (place: string) => Buffer.from(`after:${place}`).toString('base64url');

describe.each(Object.entries(LISTS))('%s', (_name, list) => {
  test('a cursor of another list is refused, by the argument that it was sent as', async () => {
    for (const [page, field] of [['first: 2, after:', 'after'], ['last: 2, before:', 'before']] as const) {
      const { errors } = await ask(list, `${page} "${cursorOf(list.foreign)}"`);
      expect(errors?.[0]?.extensions).toEqual({ code: 'BAD_USER_INPUT', field });
    }
  });

  test('a page goes on where the last one ended, either way, although the row there is gone', async () => {
    const { cursors: all } = await read(list, 'first: 100');
    expect(all).toHaveLength(6);
    await list.remove(placeIn(all[1]));
    const next = await read(list, `first: 2, after: "${all[1]}"`);
    expect(next).toEqual({ cursors: [all[2], all[3]], hasNextPage: true, hasPreviousPage: true });
    await list.remove(placeIn(all[4]));
    const previous = await read(list, `last: 2, before: "${all[4]}"`);
    expect(previous).toEqual({ cursors: [all[2], all[3]], hasNextPage: true, hasPreviousPage: true });
  });
});
