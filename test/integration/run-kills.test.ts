import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { MAX_FRUITLESS_ATTEMPTS } from '../../src/domain/run-state.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createJobQueue, type JobQueue } from '../../src/infra/queue.js';
import { recoverRuns } from '../../src/runs/recover-runs.js';
import { chance } from '../helpers/chance.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineTiny, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { expectWhole, resultOf } from '../helpers/whole-run.js';

// A machine busy with other tests must not be taken for a fault.
vi.setConfig({ testTimeout: 600_000 });

const WORKER = path.resolve(import.meta.dirname, '../../dist/workers/train.js');
const KILLS = 20;
const EPOCHS = 40;
const STEPS_PER_EPOCH = 13;
/** With a state beside the weights, and checkpoints within epochs and at their ends. */
const INPUT = {
  epochs: EPOCHS,
  seed: 3,
  checkpointEverySteps: 5,
  optimizer: { kind: 'ADAM', learningRate: 0.01 },
  augmentation: { cropPadding: 1, horizontalFlip: true },
};
let platform: TestPlatform;
let database: Database;
let queue: JobQueue;
let redis: Redis;
let reserve: Reserve;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  const { DATABASE_URL, REDIS_URL, REDIS_PREFIX } = platform.env as Record<string, string>;
  database = connectDatabase(DATABASE_URL!);
  queue = createJobQueue({ url: REDIS_URL!, prefix: REDIS_PREFIX! });
  redis = new Redis(REDIS_URL!);
});
afterAll(async () => {
  await reserve?.stop();
  redis.disconnect();
  await queue.close();
  await database.$disconnect();
  await platform.stop();
});

const rowOf = (id: string) => database.trainingRun.findUniqueOrThrow({ where: { id } });
const isOver = (status: string) => ['SUCCEEDED', 'FAILED', 'CANCELLED'].includes(status);

/** Some workers wait for work, so that no kill has to wait for a process to start. */
class Reserve {
  private readonly workers: { process: ChildProcess; said: string }[] = [];

  grow(): void {
    const env = { ...process.env, ...platform.env, GOMP_SPINCOUNT: '1000' };
    const worker = { process: spawn(process.execPath, [WORKER], { env, stdio: ['ignore', 'pipe', 'inherit'] }), said: '' };
    worker.process.stdout!.on('data', (text: Buffer) => (worker.said += text));
    this.workers.push(worker);
  }

  async kill(workerId: string): Promise<void> {
    let place = -1;
    // What it has written may not have been read yet.
    await until(async () => (place = this.workers.findIndex(({ said }) => said.includes(workerId))) >= 0, 10_000, 1);
    const [worker] = this.workers.splice(place, 1);
    await end(worker!.process);
  }

  async stop(): Promise<void> {
    await Promise.all(this.workers.map((worker) => end(worker.process)));
  }
}

async function end(child: ChildProcess): Promise<void> {
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/**
 * What a dead worker's run waits for, without the waiting, which run-recovery.test.ts does: that its heartbeat is old,
 * that the lock of its job has run out, and that one of those alive looks after the runs.
 */
async function letTimePass(id: string): Promise<void> {
  await database.trainingRun.updateMany({ where: { id, status: 'RUNNING' }, data: { heartbeatAt: new Date(0) } });
  const keys = await redis.keys(`${platform.env['REDIS_PREFIX']}:jobs:train:*`);
  await redis.del(...keys);
  await recoverRuns({ database, queue });
}

async function undisturbed(): Promise<{ result: unknown; milliseconds: number }> {
  const id = await startTiny(platform, INPUT);
  const run = await untilOver(platform, id, 120_000);
  expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
  return { result: resultOf(run), milliseconds: Date.parse(run.finishedAt) - Date.parse(run.startedAt) };
}

it(`a run whose worker is killed ${KILLS} times at random moments ends as if it had been left alone`, async () => {
  const random = chance('run-kills');
  reserve = new Reserve();
  for (let size = 0; size < 3; size++) reserve.grow();
  const alone = await undisturbed();

  const id = await startTiny(platform, INPUT);
  for (let kill = 1; kill <= KILLS; kill++) {
    await until(async () => (await rowOf(id)).attempt === kill, 30_000, 10);
    // One that never lives to see a checkpoint would rightly be given up.
    if ((await rowOf(id)).fruitless >= MAX_FRUITLESS_ATTEMPTS) await until(async () => (await rowOf(id)).fruitless === 0, 60_000, 5);
    // Where the run got ahead of the kills, at once: it is to end after the last of them.
    const isAhead = (await rowOf(id)).step > (EPOCHS * STEPS_PER_EPOCH * kill) / (KILLS + 1);
    if (!isAhead) await sleep(random() * (alone.milliseconds / 12));
    const { workerId, status, step } = await rowOf(id);
    expect(isOver(status), `after ${kill - 1} kills, at step ${step}`).toBe(false);
    await reserve.kill(workerId!);
    await letTimePass(id);
    if (kill < KILLS - 1) reserve.grow();
  }

  const run = await untilOver(platform, id, 120_000);
  expectWhole(run, EPOCHS, STEPS_PER_EPOCH);
  expect(run.attempts).toBe(KILLS + 1);
  expect(resultOf(run)).toEqual(alone.result);
});
