import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createEventBus, type EventBus } from '../../src/infra/events.js';
import type { TrainingRun } from '../../src/infra/prisma/client.js';
import { watchRuns } from '../../src/runs/watch-changes.js';
import { announceRun } from '../../src/runs/watch-runs.js';
import { connect, dropDatabase, freshDatabase } from '../helpers/databases.js';
import { freshRedis } from '../helpers/redis.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

let url: string;
let database: Database;
let events: EventBus;
let owners: Parameters<typeof createRunRow>[1];

beforeAll(async () => {
  url = await freshDatabase();
  database = connectDatabase(url);
  owners = { model: await createModelRow(database), dataset: await createDatasetRow(database) };
});
beforeEach(async () => {
  events = createEventBus(freshRedis());
  await untilHeard(events);
  return () => events.close();
});
afterAll(async () => {
  await database.$disconnect();
  await dropDatabase(url);
});

/** News that is published before the connection stands is lost. */
async function untilHeard(bus: EventBus): Promise<void> {
  const heard = new AbortController();
  const calling = setInterval(() => void bus.publish('hello', {}), 20);
  for await (const _ of bus.subscribe('hello', heard.signal)) heard.abort();
  clearInterval(calling);
}

interface Seen {
  readonly at: number;
  readonly run: TrainingRun;
}

/** Collects what a watcher is given, once it listens. */
async function watch(): Promise<{ seen: Seen[]; leave: () => Promise<void> }> {
  const leaving = new AbortController();
  const seen: Seen[] = [];
  const watching = (async () => {
    for await (const run of watchRuns({ database, events }, leaving.signal)) seen.push({ at: performance.now(), run });
  })();
  await sleep(300);
  return { seen, leave: () => (leaving.abort(), watching) };
}

const write = async (id: string, step: number, announced = true) => {
  await database.trainingRun.update({ where: { id }, data: { step } });
  if (announced) await announceRun(events, id);
};
const steps = (seen: Seen[], id: string) => seen.filter(({ run }) => run.id === id).map(({ run }) => run.step);

it('a run that changes is given at once, one that does not is not', async () => {
  const [changing, still] = [await createRunRow(database, owners), await createRunRow(database, owners)];
  const { seen, leave } = await watch();
  const before = performance.now();
  await write(changing.id, 1);
  const created = await createRunRow(database, owners);
  await announceRun(events, created.id);
  await expect.poll(() => seen.length, { timeout: 5_000 }).toBe(2);
  // Well before a watcher looks without having heard of it.
  expect(seen[0]!.at - before).toBeLessThan(1_500);
  expect(steps(seen, changing.id)).toEqual([1]);
  expect(steps(seen, created.id)).toEqual([0]);
  await sleep(3_500);
  expect(seen).toHaveLength(2);
  expect(steps(seen, still.id)).toEqual([]);
  await leave();
});

it('a run that changes all the time is given about once a second, its last state for certain', async () => {
  const runs = await Promise.all([1, 2, 3].map(() => createRunRow(database, owners)));
  const { seen, leave } = await watch();
  const end = performance.now() + 3_000;
  let step = 0;
  while (performance.now() < end) {
    step++;
    for (const { id } of runs) await write(id, step);
  }
  for (const { id } of runs) await expect.poll(() => steps(seen, id).at(-1), { timeout: 3_000 }).toBe(step);
  for (const { id } of runs) {
    const own = seen.filter(({ run }) => run.id === id);
    expect(own.length).toBeGreaterThanOrEqual(3);
    const gaps = own.slice(1).map(({ at }, index) => at - own[index]!.at);
    expect(Math.min(...gaps)).toBeGreaterThan(700);
    expect(Math.max(...gaps.slice(0, -1))).toBeLessThan(2_500);
    expect(steps(seen, id)).toEqual(steps(seen, id).toSorted((a, b) => a - b));
  }
  await leave();
});

it('a change whose news is lost is found all the same, within seconds', async () => {
  const { id } = await createRunRow(database, owners);
  const { seen, leave } = await watch();
  await write(id, 1, false);
  await expect.poll(() => steps(seen, id), { timeout: 5_000 }).toEqual([1]);
  await leave();
});

it('a change is not missed for being written down before another and seen after it', async () => {
  const [slow, quick] = [await createRunRow(database, owners), await createRunRow(database, owners)];
  const { seen, leave } = await watch();
  const client = await connect(url);
  await client.query('BEGIN');
  await client.query('UPDATE "TrainingRun" SET step = 5 WHERE id = $1', [slow.id]);
  await write(quick.id, 6);
  await expect.poll(() => steps(seen, quick.id), { timeout: 5_000 }).toEqual([6]);
  await client.query('COMMIT');
  await expect.poll(() => steps(seen, slow.id), { timeout: 5_000 }).toEqual([5]);
  await leave();
});
