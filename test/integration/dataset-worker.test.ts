import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it, vi } from 'vitest';
import type { Dataset, DatasetStatus } from '../../src/infra/prisma/client.js';
import { createJobQueue } from '../../src/infra/queue.js';
import { startWorker } from '../../src/local/processes.js';
import type { ServerProcess } from '../../src/local/server-process.js';
import { keysIn } from '../helpers/buckets.js';
import { freshName } from '../helpers/databases.js';
import { idxFiles, image, zip } from '../helpers/dataset-files.js';
import { openDatasetRoom, submit, type DatasetRoom } from '../helpers/datasets.js';
import { freshRedis } from '../helpers/redis.js';

let room: DatasetRoom;
const redis = freshRedis();
const workers: ServerProcess[] = [];
beforeAll(async () => {
  const opened = await openDatasetRoom();
  await opened.queue.close();
  room = { ...opened, queue: createJobQueue(redis) };
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.stop();
});
afterAll(async () => {
  await room.queue.close();
  await room.close();
});

async function start(): Promise<ServerProcess> {
  const { bucket } = room;
  const environment = {
    PATH: process.env['PATH'],
    NODE_ENV: 'test',
    DATABASE_URL: room.databaseUrl,
    REDIS_URL: redis.url,
    REDIS_PREFIX: redis.prefix,
    S3_ENDPOINT: bucket.endpoint,
    S3_ACCESS_KEY: bucket.accessKey,
    S3_SECRET_KEY: bucket.secretKey,
    S3_BUCKET: bucket.bucket,
    RESIDUAL_DATA_DIR: room.dataDir,
  };
  const worker = await startWorker('datasets', { dataDir: room.dataDir, environment }, freshName('worker-datasets-'));
  workers.push(worker);
  return worker;
}

/** Enough images to be busy with for a second or two. */
async function manyImages(): Promise<Record<string, Buffer>> {
  const content = await image('#456', { height: 64, width: 64 });
  const files = Array.from({ length: 2_000 }, (_, index) => ({
    name: `${index % 10 ? 'train' : 'test'}/${index % 3}/${index}.png`,
    content,
  }));
  return { 'images.zip': zip(files) };
}

const rowOf = (id: string): Promise<Dataset> => room.database.dataset.findUniqueOrThrow({ where: { id } });
async function until(id: string, holds: (dataset: Dataset) => boolean, seconds: number): Promise<Dataset> {
  for (const deadline = Date.now() + seconds * 1_000; ; await sleep(50)) {
    const dataset = await rowOf(id);
    if (holds(dataset)) return dataset;
    if (Date.now() > deadline) throw new Error(`after ${seconds} s it is ${JSON.stringify({ ...dataset, bytes: Number(dataset.bytes) })}`);
  }
}
const is = (status: DatasetStatus) => (dataset: Dataset) => dataset.status === status;
const isBegun = ({ attempts }: Dataset) => attempts > 0;
const spools = () => readdir(path.join(room.dataDir, 'validating')).catch(() => []);

it('validates what comes through the queue, good and bad', async () => {
  const worker = await start();
  const [good, bad] = [
    await submit(room, idxFiles(), { format: 'IDX' }),
    await submit(room, { 'images.zip': Buffer.from('x') }, { format: 'IMAGE_FOLDER' }),
  ];
  await until(good.id, is('READY'), 10);
  expect((await until(bad.id, is('INVALID'), 10)).problems).toEqual(['images.zip: broken archive: neither .zip nor .tar']);
  await worker.stop();
  expect(await worker.ended).toBe('exit code 0');
});

it('a data set whose worker is killed is taken up by another within 15 s, and nothing of the first is left', async () => {
  const first = await start();
  const { id } = await submit(room, await manyImages(), { format: 'IMAGE_FOLDER' });
  await vi.waitUntil(async () => (await spools()).length > 0, 10_000);
  process.kill(first.pid, 'SIGKILL');
  await first.ended;
  expect(await rowOf(id)).toMatchObject({ status: 'VALIDATING', attempts: 1 });
  expect(await spools()).toHaveLength(1);
  const second = await start();
  await until(id, ({ attempts }) => attempts === 2, 15);
  await until(id, is('READY'), 40);
  await second.stop();
  expect(await spools()).toEqual([]);
  expect((await keysIn(room.bucket)).filter((key) => key.startsWith('uploads/'))).toEqual([]);
});

it('a worker that is asked to stop hands its data set back at once', async () => {
  const first = await start();
  const { id } = await submit(room, await manyImages(), { format: 'IMAGE_FOLDER' });
  await until(id, isBegun, 10);
  await first.stop();
  expect(await first.ended).toBe('exit code 0');
  expect(await rowOf(id)).toMatchObject({ status: 'VALIDATING', attempts: 0 });
  expect(await spools()).toEqual([]);
  await start();
  await until(id, isBegun, 5);
  await until(id, is('READY'), 40);
});

it('a data set whose job was lost is validated all the same', async () => {
  const { id } = await submit(room, idxFiles(), { format: 'IDX' });
  await room.queue.remove('validate-dataset', { v: 1, datasetId: id });
  expect(await room.queue.has('validate-dataset', { v: 1, datasetId: id })).toBe(false);
  await start();
  await until(id, is('READY'), 20);
});
