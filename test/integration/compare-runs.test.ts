import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import type { Dataset, Model } from '../../src/infra/prisma/client.js';
import { compareRuns } from '../../src/runs/compare-runs.js';
import { dropDatabase, freshDatabase } from '../helpers/databases.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

let url: string;
let database: Database;
/** Three runs that have come two, no and three epochs far. */
let ids: string[];
let owners: { model: Model; dataset: Dataset };

beforeAll(async () => {
  url = await freshDatabase();
  database = connectDatabase(url);
  owners = { model: await createModelRow(database), dataset: await createDatasetRow(database) };
  const row = {
    trainLoss: 1, trainAccuracy: 0, validationLoss: 1, validationAccuracy: 0, learningRate: 0.1, imagesPerSecond: 1, seconds: 1,
  }; // prettier-ignore
  ids = await Promise.all(
    [2, 0, 3].map(async (epochs, index) => {
      const config = { seed: index === 2 ? 7 : 0, optimizer: { kind: 'SGD', learningRate: 0.1 } };
      const { id: runId } = await createRunRow(database, owners, { config });
      const data = Array.from({ length: epochs }, (_, epoch) => ({ runId, epoch: epoch + 1, ...row, trainLoss: index }));
      await database.epochMetric.createMany({ data });
      return runId;
    }),
  );
});
afterAll(async () => {
  await database.$disconnect();
  await dropDatabase(url);
});

const runsOf = async (configs: object[]) =>
  (await Promise.all(configs.map((config) => createRunRow(database, owners, { config })))).map(({ id }) => id);
const compare = (list: string[]) => compareRuns({ database }, list);

it('histories are aligned by epoch, with null where a run has none, in the order asked for', async () => {
  const asked = [ids[2]!, ids[0]!, ids[1]!];
  const { runs, history } = await compare(asked);
  expect(runs.map(({ id }) => id)).toEqual(asked);
  expect(history.map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  expect(history.map(({ metrics }) => metrics.map((metric) => metric?.trainLoss ?? null))).toEqual([
    [2, 0, null],
    [2, 0, null],
    [2, null, null],
  ]);
});

it('the settings that differ come with a value for each run', async () => {
  expect((await compare(ids)).differences).toEqual([{ path: 'seed', values: [0, 0, 7] }]);
  expect((await compare(ids.slice(0, 2))).differences).toEqual([]);
});

it('a run from before there were some settings differs in none of them from one that leaves them off', async () => {
  const before = { epochs: 2, augmentation: { cropPadding: 2, horizontalFlip: true } };
  const off = { randomErasing: 0, randomResizedCrop: false, mixup: 0, cutmix: 0 };
  const today = { epochs: 2, augmentation: { ...before.augmentation, ...off }, validationFraction: 0, keepCheckpoints: 2 };
  const mixed = { ...today, augmentation: { ...today.augmentation, mixup: 0.2 }, keepCheckpoints: 5 };
  const [first, ...others] = await runsOf([before, today, mixed]);
  expect((await compare([first!, others[0]!])).differences).toEqual([]);
  expect((await compare([first!, others[1]!])).differences).toEqual([
    { path: 'augmentation.mixup', values: [0, 0.2] },
    { path: 'keepCheckpoints', values: [2, 5] },
  ]);
});

it('a run that is not there is named', async () => {
  await expect(compare([ids[0]!, 'nothing'])).rejects.toMatchObject({
    code: 'NOT_FOUND', field: 'ids.1', message: expect.stringContaining('nothing'),
  }); // prettier-ignore
});

it('2 to 8 different runs are compared', async () => {
  const refusal = (list: string[]) => compare(list).then(() => null, ({ code, field }) => ({ code, field }));
  expect(await refusal([])).toEqual({ code: 'BAD_USER_INPUT', field: 'ids' });
  expect(await refusal([ids[0]!])).toEqual({ code: 'BAD_USER_INPUT', field: 'ids' });
  expect(await refusal(Array.from({ length: 9 }, () => randomUUID()))).toEqual({ code: 'BAD_USER_INPUT', field: 'ids' });
  expect(await refusal([ids[0]!, ids[1]!, ids[0]!])).toEqual({ code: 'BAD_USER_INPUT', field: 'ids.2' });
});
