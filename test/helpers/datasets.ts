import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { completeDataset } from '../../src/datasets/complete-dataset.js';
import { createDataset, type CreateDatasetInput, type UploadTarget } from '../../src/datasets/create-dataset.js';
import { validateDataset, type ValidationDeps } from '../../src/datasets/validate-dataset.js';
import type { ObjectsConfig } from '../../src/config.js';
import { connectDatabase } from '../../src/infra/database.js';
import { createObjectStore } from '../../src/infra/objects.js';
import type { Dataset } from '../../src/infra/prisma/client.js';
import { createJobQueue, type JobQueue } from '../../src/infra/queue.js';
import { freshBucket } from './buckets.js';
import { dropDatabase, freshDatabase, freshName } from './databases.js';
import { freshRedis } from './redis.js';
import { sendUpload } from './send-upload.js';

export type DatasetRoom = ValidationDeps & {
  readonly queue: JobQueue;
  readonly databaseUrl: string;
  readonly bucket: ObjectsConfig;
  readonly close: () => Promise<void>;
};

/** What the data set use cases take, on real servers, all names fresh. */
export async function openDatasetRoom(): Promise<DatasetRoom> {
  const [url, bucket, dataDir] = await Promise.all([freshDatabase(), freshBucket(), mkdtemp(path.join(tmpdir(), 'residual-test-'))]);
  const database = connectDatabase(url);
  const queue = createJobQueue(freshRedis());
  const close = async () => {
    await queue.close();
    await database.$disconnect();
    await dropDatabase(url);
    await rm(dataDir, { recursive: true, force: true });
  };
  const objects = createObjectStore(bucket);
  return { database, databaseUrl: url, queue, bucket, objects, dataDir, maxBytes: 1024 ** 3, maxPixels: 50_000_000, close };
}

export type Files = Readonly<Record<string, Uint8Array>>;

/** Sends files to their targets, as any client would. */
export async function upload(uploads: readonly UploadTarget[], files: Files): Promise<void> {
  for (const [name, content] of Object.entries(files)) {
    const target = uploads.find(({ file }) => file === name);
    if (!target) throw new Error(`no target for ${name} among ${uploads.map(({ file }) => file).join(', ')}`);
    await sendUpload(target, content);
  }
}

/** A data set that is VALIDATING. */
export async function submit(
  room: DatasetRoom,
  files: Files,
  input: Partial<CreateDatasetInput> & Pick<CreateDatasetInput, 'format'>,
): Promise<Dataset> {
  const { dataset, uploads } = await createDataset(room, { name: freshName('set-'), ...input });
  await upload(uploads, files);
  return completeDataset(room, dataset.id);
}

/** What a data set is after its validation. */
export async function validated(
  room: DatasetRoom,
  files: Files,
  input: Partial<CreateDatasetInput> & Pick<CreateDatasetInput, 'format'>,
): Promise<Dataset> {
  const { id } = await submit(room, files, input);
  await validateDataset(room, id, new AbortController().signal);
  return room.database.dataset.findUniqueOrThrow({ where: { id } });
}
