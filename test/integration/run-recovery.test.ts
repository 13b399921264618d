import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineTiny, readRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';

const EPOCHS = 80;
const STEPS = EPOCHS * 13;
let platform: TestPlatform;
let redis: Redis;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'] });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  redis = new Redis(platform.env['REDIS_URL']!);
});
afterAll(async () => {
  redis.disconnect();
  await platform.stop();
});

const countTo = (last: number) => Array.from({ length: last }, (_, index) => index + 1);
/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */
const isWhole = (run: any) => {
  expect(run.history.map(({ epoch }: any) => epoch)).toEqual(countTo(EPOCHS));
  expect(run.steps.map(({ step }: any) => step)).toEqual(countTo(STEPS));
};
const weights = (run: any) => run.version.artifacts.find(({ kind }: any) => kind === 'SAFETENSORS').sha256;

async function forget(pattern: string): Promise<number> {
  const keys = await redis.keys(`${platform.env['REDIS_PREFIX']}:${pattern}`);
  return keys.length === 0 ? 0 : redis.del(...keys);
}

it('a run whose worker is killed is taken up by another within 15 s, and ends as if nothing had been', async () => {
  const alone = await platform.startWorker('train');
  const undisturbed = await untilOver(platform, await startTiny(platform, { epochs: EPOCHS, seed: 3 }));
  isWhole(undisturbed);
  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  await until(async () => (await readRun(platform, id)).step > STEPS / 4, 30_000);
  await alone.kill('SIGKILL');
  const killedAt = Date.now();
  const other = await platform.startWorker('train');
  await until(async () => (await readRun(platform, id)).attempts === 2, 20_000);
  expect(Date.now() - killedAt).toBeLessThan(15_000);

  const run = await untilOver(platform, id);
  expect(run).toMatchObject({ status: 'SUCCEEDED', attempts: 2 });
  isWhole(run);
  expect(run.steps.map(({ loss }: any) => loss)).toEqual(undisturbed.steps.map(({ loss }: any) => loss));
  expect(weights(run)).toBe(weights(undisturbed));
  await other.kill('SIGTERM');
});

it('a worker that is asked to end hands its run back at the step it had reached, and exits with 0', async () => {
  const first = await platform.startWorker('train');
  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  await until(async () => (await readRun(platform, id)).step > STEPS / 4, 30_000);
  await first.kill('SIGTERM');
  expect(await first.ended).toMatchObject({ code: 0 });
  const handedBack = await readRun(platform, id);
  expect(handedBack).toMatchObject({ status: 'QUEUED', worker: null, attempts: 1 });

  const second = await platform.startWorker('train');
  const run = await untilOver(platform, id);
  isWhole(run);
  expect(run.logs.nodes.map(({ message }: any) => message)).toContain(`goes on from step ${handedBack.step} of ${STEPS}`);
  await second.kill('SIGTERM');
});

it('runs whose jobs Redis has lost are queued again within 30 s, waiting or running', async () => {
  const ids = [await startTiny(platform), await startTiny(platform)];
  expect(await forget('jobs:train:*')).toBeGreaterThan(0);
  const lostAt = Date.now();
  const worker = await platform.startWorker('train');
  const running = await startTiny(platform, { epochs: EPOCHS });
  await until(async () => (await readRun(platform, running)).step > 0, 30_000);
  expect(Date.now() - lostAt).toBeLessThan(30_000);
  await forget('jobs:train:*');
  for (const id of [...ids, running]) expect((await untilOver(platform, id)).status).toBe('SUCCEEDED');
  isWhole(await readRun(platform, running));
  expect((await readRun(platform, running)).attempts).toBe(1);
  await worker.kill('SIGTERM');
});
