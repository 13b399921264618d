import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import type { TrainingRun } from '../../src/infra/prisma/client.js';
import { RUN_ORDER_FIELDS, type RunOrder } from '../../src/runs/order-runs.js';
import { listRuns } from '../../src/runs/read-runs.js';
import { dropDatabase, freshDatabase } from '../helpers/databases.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

let url: string;
let database: Database;
let owners: Parameters<typeof createRunRow>[1];

beforeAll(async () => {
  url = await freshDatabase();
  database = connectDatabase(url);
  owners = { model: await createModelRow(database), dataset: await createDatasetRow(database) };
  // Two that share an accuracy, two without any.
  for (const accuracy of [0.5, null, 0.1 + 0.2, 0.5, 0.9, null])
    await createRunRow(database, owners, {
      startedAt: accuracy === null ? null : new Date(accuracy * 1e12),
      finishedAt: accuracy === null ? null : new Date(2e12 - accuracy * 1e11),
      ...(accuracy !== null && { evaluation: { accuracy, loss: 1 - accuracy } }),
    });
});
afterAll(async () => {
  await database.$disconnect();
  await dropDatabase(url);
});

const numbers = (runs: TrainingRun[]) => runs.map(({ number }) => number);
const list = async (order?: RunOrder) => numbers((await listRuns({ database }, {}, { first: 100 }, order)).items);

/** All pages of that size, one after the other. */
async function pages(order: RunOrder, size: number, towards: 'next' | 'previous'): Promise<number[]> {
  const seen: number[] = [];
  for (let place: string | undefined; ; ) {
    const cursor = place === undefined ? {} : towards === 'next' ? { after: place } : { before: place };
    const page = await listRuns({ database }, {}, { ...(towards === 'next' ? { first: size } : { last: size }), ...cursor }, order);
    const found = numbers(page.items);
    if (towards === 'next') seen.push(...found);
    else seen.unshift(...found);
    if (!(towards === 'next' ? page.hasNextPage : page.hasPreviousPage)) return seen;
    place = page.placeOf!((towards === 'next' ? page.items.at(-1) : page.items[0])!);
  }
}

it('runs come the newest first, or by what is asked for, with those that do not have it last', async () => {
  expect(await list()).toEqual([6, 5, 4, 3, 2, 1]);
  expect(await list({ field: 'NUMBER', direction: 'ASC' })).toEqual([1, 2, 3, 4, 5, 6]);
  expect(await list({ field: 'ACCURACY', direction: 'DESC' })).toEqual([5, 4, 1, 3, 6, 2]);
  expect(await list({ field: 'ACCURACY', direction: 'ASC' })).toEqual([3, 1, 4, 5, 2, 6]);
  expect(await list({ field: 'LOSS', direction: 'ASC' })).toEqual([5, 1, 4, 3, 2, 6]);
  expect(await list({ field: 'STARTED_AT', direction: 'DESC' })).toEqual([5, 4, 1, 3, 6, 2]);
  expect(await list({ field: 'FINISHED_AT', direction: 'DESC' })).toEqual([3, 4, 1, 5, 6, 2]);
});

describe.each(RUN_ORDER_FIELDS.flatMap((field) => [{ field, direction: 'ASC' }, { field, direction: 'DESC' }] as const))(
  'pages by $field $direction',
  (order) => {
    it.each([1, 2, 3, 4])('of %i give each run once, in order, forwards and backwards', async (size) => {
      const all = await list(order);
      expect(await pages(order, size, 'next')).toEqual(all);
      expect(await pages(order, size, 'previous')).toEqual(all);
    });
  },
);

it('a page goes on where the last one ended although the run there has moved or is gone', async () => {
  const order = { field: 'ACCURACY', direction: 'DESC' } as const;
  const [moving, gone] = [
    await createRunRow(database, owners, { evaluation: { accuracy: 0.7, loss: 0.1 } }),
    await createRunRow(database, owners, { evaluation: { accuracy: 0.6, loss: 0.1 } }),
  ];
  const first = await listRuns({ database }, {}, { first: 3 }, order);
  expect(numbers(first.items)).toEqual([5, moving.number, gone.number]);
  await database.trainingRun.update({ where: { id: moving.id }, data: { evaluation: { accuracy: 0.95, loss: 0 } } });
  await database.trainingRun.delete({ where: { id: gone.id } });
  for (const index of [1, 2]) {
    const place = first.placeOf!(first.items[index]!);
    const next = await listRuns({ database }, {}, { first: 2, after: place }, order);
    expect(numbers(next.items)).toEqual([4, 1]);
  }
  await database.trainingRun.delete({ where: { id: moving.id } });
});

it.each(['', 'x', 'NUMBER:1', 'ACCURACY:x:1', 'ACCURACY:1:x', 'ACCURACY:99999999999:1'])(
  'the cursor %j is refused by a list that is not its own',
  async (after) => {
    const order = { field: 'ACCURACY', direction: 'DESC' } as const;
    await expect(listRuns({ database }, {}, { first: 2, after }, order)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT', field: 'after',
    }); // prettier-ignore
  },
);
