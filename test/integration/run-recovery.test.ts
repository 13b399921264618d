import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { connect, databaseUrl } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { ask, defineTiny, glanceAtRun, readRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { expectWhole, weightsOf } from '../helpers/whole-run.js';

const EPOCHS = 40;
const STEPS_PER_EPOCH = 13;
const STEPS = EPOCHS * STEPS_PER_EPOCH;
let platform: TestPlatform;
let redis: Redis;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  redis = new Redis(platform.env['REDIS_URL']!);
});
afterAll(async () => {
  redis.disconnect();
  await platform.stop();
});

/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */

async function forget(pattern: string): Promise<number> {
  const keys = await redis.keys(`${platform.env['REDIS_PREFIX']}:${pattern}`);
  return keys.length === 0 ? 0 : redis.del(...keys);
}

it('a run whose worker is killed is taken up by another within 15 s, before those that wait, and ends as if nothing had been', async () => {
  const alone = await platform.startWorker('train');
  const undisturbed = await untilOver(platform, await startTiny(platform, { epochs: EPOCHS, seed: 3 }));
  expectWhole(undisturbed, EPOCHS, STEPS_PER_EPOCH);
  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  await until(async () => (await glanceAtRun(platform, id)).step > STEPS / 4, 30_000);
  const waiting = await startTiny(platform, { epochs: 1 });
  await alone.kill('SIGKILL');
  const killedAt = Date.now();
  // As the one does that starts it again.
  await sleep(1_000);
  const other = await platform.startWorker('train');
  await until(async () => (await glanceAtRun(platform, id)).attempts === 2, 20_000);
  expect(Date.now() - killedAt).toBeLessThan(15_000);

  const run = await untilOver(platform, id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', attempts: 2 });
  expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
  expect(run.steps.map(({ loss }: any) => loss)).toEqual(undisturbed.steps.map(({ loss }: any) => loss));
  expect(weightsOf(run)).toBe(weightsOf(undisturbed));
  const { startedAt } = await untilOver(platform, waiting);
  expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(run.finishedAt));
  await other.kill('SIGTERM');
});

it('what trains a second is of those whose worker lives: nothing once the only one is killed', async () => {
  const rate = async () => {
    const metrics = await (await fetch(new URL('/metrics', platform.url))).text();
    return Number(/^residual_training_images_per_second (\S+)$/m.exec(metrics)?.[1]);
  };
  const worker = await platform.startWorker('train');
  const id = await startTiny(platform, { epochs: 9_999 });
  await until(async () => (await rate()) > 0, 30_000);
  await worker.kill('SIGKILL');
  await until(async () => (await rate()) === 0, 15_000);
  expect(await glanceAtRun(platform, id)).toMatchObject({ status: 'RUNNING' });
  await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { status } }', { id });
});

it('a worker that is asked to end hands its run back at the step it had reached, first to go on, and exits with 0', async () => {
  const first = await platform.startWorker('train');
  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  await until(async () => (await glanceAtRun(platform, id)).step > STEPS / 4, 30_000);
  const waiting = await startTiny(platform, { epochs: 1 });
  await first.kill('SIGTERM');
  expect(await first.ended).toBe('exit code 0');
  const handedBack = await readRun(platform, id);
  expect(handedBack).toMatchObject({ status: 'QUEUED', worker: null, attempts: 1, queuePosition: 1 });
  expect(await readRun(platform, waiting)).toMatchObject({ status: 'QUEUED', queuePosition: 2 });

  const second = await platform.startWorker('train');
  const run = await untilOver(platform, id);
  expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
  const { startedAt } = await untilOver(platform, waiting);
  expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(run.finishedAt));
  expect(run.logs.nodes.map(({ message }: any) => message)).toContain(
    `goes on from step ${handedBack.step} of ${STEPS}`,
  );
  await second.kill('SIGTERM');
});

it('a worker that was frozen while another took its run up writes nothing of it when it wakes', async () => {
  const frozen = await platform.startWorker('train');
  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  await until(async () => (await glanceAtRun(platform, id)).step > STEPS / 8, 30_000);
  process.kill(frozen.pid, 'SIGSTOP');
  const other = await platform.startWorker('train');
  await until(async () => (await glanceAtRun(platform, id)).attempts === 2, 20_000);
  process.kill(frozen.pid, 'SIGCONT');
  const run = await untilOver(platform, id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', attempts: 2, version: { version: expect.any(Number) } });
  expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
  await until(async () => frozen.said().includes('was taken up by another worker'), 10_000);
  await other.kill('SIGTERM');
  // It is as good a worker as before.
  expect(await untilOver(platform, await startTiny(platform))).toMatchObject({ status: 'SUCCEEDED' });
  await frozen.kill('SIGTERM');
});

it('a run outlives the loss of every database connection, again and again', async () => {
  const worker = await platform.startWorker('train');
  const id = await startTiny(platform, { epochs: 12, seed: 3 });
  const administrator = await connect(databaseUrl('postgres'));
  const database = new URL(platform.env['DATABASE_URL']!).pathname.slice(1);
  const isOver = () =>
    readRun(platform, id).then(
      ({ status }) => status !== 'QUEUED' && status !== 'RUNNING',
      () => false,
    );
  let times = 0;
  for (; !(await isOver()); times++) {
    await administrator.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [database]);
    await sleep(Math.random() * 400);
  }
  expect(times).toBeGreaterThan(5);
  const run = await untilOver(platform, id);
  expect(run).toMatchObject({ status: 'SUCCEEDED' });
  expectWhole(run, 12, STEPS_PER_EPOCH);
  await worker.kill('SIGTERM');
});

it('runs whose jobs Redis has lost are trained by priority, and within one in the order in which they began to wait', async () => {
  const order = (field: string, id: string) => ask(platform, `mutation ($id: ID!) { ${field}(id: $id) { id } }`, { id });
  const [again, plain, urgent] = [
    await startTiny(platform, { epochs: 1 }),
    await startTiny(platform, { epochs: 1 }),
    await startTiny(platform, { epochs: 1, priority: 1 }),
  ];
  await order('pauseTraining', again);
  await order('resumeTraining', again);
  expect(await forget('jobs:train:*')).toBeGreaterThan(0);
  const worker = await platform.startWorker('train');
  const runs = await Promise.all([urgent, plain, again].map((id) => untilOver(platform, id)));
  const begun = runs.map(({ startedAt }) => Date.parse(startedAt));
  expect(begun).toEqual(begun.toSorted((a, b) => a - b));
  await worker.kill('SIGTERM');
});

it('runs whose jobs Redis has lost are queued again within 30 s, waiting or running', async () => {
  const ids = [await startTiny(platform), await startTiny(platform)];
  expect(await forget('jobs:train:*')).toBeGreaterThan(0);
  const lostAt = Date.now();
  const worker = await platform.startWorker('train');
  const running = await startTiny(platform, { epochs: EPOCHS });
  await until(async () => (await glanceAtRun(platform, running)).step > 0, 30_000);
  expect(Date.now() - lostAt).toBeLessThan(30_000);
  await forget('jobs:train:*');
  for (const id of [...ids, running]) expect((await untilOver(platform, id)).status).toBe('SUCCEEDED');
  expectWhole(await readRun(platform, running), EPOCHS, STEPS_PER_EPOCH);
  expect((await readRun(platform, running)).attempts).toBe(1);
  await worker.kill('SIGTERM');
});
