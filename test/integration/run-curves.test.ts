import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { readSteps } from '../../src/runs/read-runs.js';
import { dropDatabase, freshDatabase } from '../helpers/databases.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

let url: string;
let database: Database;
beforeAll(async () => {
  url = await freshDatabase();
  database = connectDatabase(url);
});
afterAll(async () => {
  await database.$disconnect();
  await dropDatabase(url);
});

/** Its id. */
async function runOfSteps(steps: readonly number[]): Promise<string> {
  const { id: runId } = await createRunRow(database, {
    model: await createModelRow(database, `m-${steps.length}`),
    dataset: await createDatasetRow(database, { name: `d-${steps.length}` }),
  });
  await database.$executeRaw`
    INSERT INTO "StepMetric" ("runId", step, epoch, loss, accuracy, "learningRate", "imagesPerSecond")
    SELECT ${runId}, step, 1, 1, 0, 0.1, 100 FROM unnest(${steps}::int[]) AS step`;
  return runId;
}

const upTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);

test('a few points of a long curve are looked up: its other steps are not read', async () => {
  const runId = await runOfSteps(upTo(50_000));
  const { steps, read } = await database.$transaction(async (transaction) => {
    const points = await readSteps({ database: transaction as Database }, runId, 10);
    // Rows that this transaction fetched.
    const [counted] = await transaction.$queryRaw<{ read: number }[]>`
      SELECT (seq_tup_read + idx_tup_fetch)::int AS read FROM pg_stat_xact_user_tables WHERE relname = 'StepMetric'`;
    return { steps: points.map(({ step }) => step), read: counted!.read };
  });
  expect(steps).toEqual(upTo(10).map((point) => 5_000 * point));
  expect(read).toBeLessThan(20);
});

test('a point whose step is missing is left out, and no product of steps and points is too large', async () => {
  const runId = await runOfSteps([1, 200_000, 400_001, 2_000_000_000]);
  const steps = (await readSteps({ database }, runId, 10_000)).map(({ step }) => step);
  expect(steps).toEqual([200_000, 2_000_000_000]);
});
