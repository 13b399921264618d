import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { closeSync, constants, openSync, renameSync } from 'node:fs';
import { link, readdir, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { completeDataset } from '../../src/datasets/complete-dataset.js';
import { createDataset } from '../../src/datasets/create-dataset.js';
import { deleteDataset } from '../../src/datasets/delete-dataset.js';
import { findDataset, listDatasets, resolveDataset } from '../../src/datasets/find-dataset.js';
import { openDataset } from '../../src/datasets/read-dataset.js';
import { recoverDatasets } from '../../src/datasets/recover-datasets.js';
import { sampleDataset } from '../../src/datasets/sample-dataset.js';
import { removeStrayUploads } from '../../src/datasets/stray-uploads.js';
import { validateDataset } from '../../src/datasets/validate-dataset.js';
import { unavailable } from '../../src/errors.js';
import { removeDroppedObjects } from '../../src/infra/dropped-objects.js';
import { decodeImage } from '../../src/infra/images.js';
import { CorruptObjectError, createObjectStore } from '../../src/infra/objects.js';
import { keysIn } from '../helpers/buckets.js';
import { idxFiles } from '../helpers/dataset-files.js';
import { freshName } from '../helpers/databases.js';
import { openDatasetRoom, submit, upload, validated, type DatasetRoom } from '../helpers/datasets.js';

let room: DatasetRoom;
beforeAll(async () => void (room = await openDatasetRoom()));
afterAll(() => room.close());

const never = new AbortController().signal;
const rowOf = (id: string) => room.database.dataset.findUniqueOrThrow({ where: { id } });
const spools = async () => readdir(path.join(room.dataDir, 'validating')).catch(() => []);
/** Content that no other test has. */
let salt = 0;
const newFiles = () => idxFiles({ labels: [0, 1, 2], value: (record) => (record + 7 * ++salt) % 256 });

it.each([
  ['input.name', { name: 'Fashion' }],
  ['input.name', { name: '' }],
  ['input.name', { name: 'a'.repeat(64) }],
  ['input.name', { name: '../evil' }],
  ['input.classNames', { classNames: ['a'] }],
  ['input.classNames', { format: 'CIFAR10_BINARY', classNames: ['a', 'b', 'c'] }],
  ['input.classNames.2', { classNames: ['a', 'b', 'a'] }],
  ['input.classNames.1', { classNames: ['a', ' '] }],
  ['input.description', { description: 'x'.repeat(2_001) }],
] as const)('a wrong %s makes no row', async (field, wrong) => {
  const before = await room.database.dataset.count();
  const input = { name: freshName('set-'), format: 'IDX', ...wrong } as const;
  await expect(createDataset(room, input)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field });
  expect(await room.database.dataset.count()).toBe(before);
});

it('creating ten of one name at once gives ten versions', async () => {
  const name = freshName('set-');
  const created = await Promise.all(Array.from({ length: 10 }, () => createDataset(room, { name, format: 'IDX' })));
  expect(created.map(({ dataset }) => dataset.version).sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  expect((await findDataset(room, name))?.version).toBe(10);
  expect((await findDataset(room, name, 4))?.version).toBe(4);
  expect(await findDataset(room, name, 11)).toBeNull();
});

it('an upload target takes its own file and no other', async () => {
  const { uploads } = await createDataset(room, { name: freshName('set-'), format: 'IDX' });
  expect(uploads.map(({ file }) => file)).toContain('t10k-labels-idx1-ubyte.gz');
  const [{ url, expiresAt } = { url: '', expiresAt: new Date(0) }] = uploads;
  expect(expiresAt.getTime()).toBeGreaterThan(Date.now() + 3_500_000);
  const elsewhere = url.replace('train-images-idx3-ubyte', 'train-labels-idx1-ubyte');
  expect((await fetch(elsewhere, { method: 'PUT', body: 'x' })).status).toBe(403);
});

it('completing names the files that are missing and changes nothing', async () => {
  const { dataset, uploads } = await createDataset(room, { name: freshName('set-'), format: 'IDX' });
  const { 't10k-labels-idx1-ubyte': labels, 't10k-images-idx3-ubyte': images, ...train } = idxFiles();
  await upload(uploads, train);
  await expect(completeDataset(room, dataset.id)).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    field: 'id',
    message: 'not uploaded: t10k-images-idx3-ubyte or t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte.gz',
  });
  expect((await rowOf(dataset.id)).status).toBe('AWAITING_UPLOAD');
  await upload(uploads, { 't10k-labels-idx1-ubyte': labels!, 't10k-images-idx3-ubyte': images! });
  expect((await completeDataset(room, dataset.id)).status).toBe('VALIDATING');
});

it('completing without any file says which would do', async () => {
  const { dataset } = await createDataset(room, { name: freshName('set-'), format: 'IMAGE_FOLDER' });
  const message = 'not uploaded: images.zip; or instead images.tar; or instead images.tar.gz';
  await expect(completeDataset(room, dataset.id)).rejects.toMatchObject({ message });
});

it('completing twice, also at once, queues one job', async () => {
  const { dataset, uploads } = await createDataset(room, { name: freshName('set-'), format: 'IDX' });
  await upload(uploads, newFiles());
  const { waiting } = await room.queue.counts('validate-dataset');
  const outcomes = await Promise.allSettled([1, 2, 3].map(() => completeDataset(room, dataset.id)));
  const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
  expect(refusals).toEqual(['CONFLICT', 'CONFLICT']);
  await expect(completeDataset(room, dataset.id)).rejects.toMatchObject({ code: 'CONFLICT', field: 'id' });
  await expect(completeDataset(room, 'no-such-id')).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'id' });
  expect((await room.queue.counts('validate-dataset')).waiting).toBe(waiting + 1);
});

it('with the queue away nothing is completed', async () => {
  const { dataset, uploads } = await createDataset(room, { name: freshName('set-'), format: 'IDX' });
  await upload(uploads, newFiles());
  const queue = { enqueue: async () => Promise.reject(unavailable('the queue does not answer')) };
  await expect(completeDataset({ ...room, queue }, dataset.id)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect((await rowOf(dataset.id)).status).toBe('AWAITING_UPLOAD');
  await completeDataset(room, dataset.id);
});

it('a reference means the latest READY version, or the version it names', async () => {
  const name = freshName('set-');
  await expect(resolveDataset(room, name, 'input.dataset')).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'input.dataset' });
  const first = await validated(room, newFiles(), { name, format: 'IDX' });
  await createDataset(room, { name, format: 'IDX' });
  expect((await resolveDataset(room, name, 'input.dataset')).id).toBe(first.id);
  expect((await resolveDataset(room, `${name}@1`, 'input.dataset')).id).toBe(first.id);
  const waiting = { code: 'BAD_USER_INPUT', field: 'input.dataset', message: `data set ${name}@2 is AWAITING_UPLOAD, not READY` };
  await expect(resolveDataset(room, `${name}@2`, 'input.dataset')).rejects.toMatchObject(waiting);
  await expect(resolveDataset(room, `${name}@3`, 'input.dataset')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  for (const wrong of [`${name}@`, `${name}@0`, `${name}@latest`, `${name}:1`, 'A', '', `${name}@99999999999999999999`])
    await expect(resolveDataset(room, wrong, 'input.dataset')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
});

it('lists the newest first, page by page', async () => {
  const made = [];
  for (let count = 0; count < 3; count++) made.push((await createDataset(room, { name: freshName('set-'), format: 'IDX' })).dataset.id);
  const first = await listDatasets(room, { first: 2 });
  expect(first.items.map(({ id }) => id)).toEqual([made[2], made[1]]);
  const second = await listDatasets(room, { first: 1, after: made[1]! });
  expect(second.items.map(({ id }) => id)).toEqual([made[0]]);
});

it('a READY data set is one object under its hash, and neither uploads nor spools are left', async () => {
  const before = await keysIn(room.bucket);
  const { sha256, bytes } = await validated(room, newFiles(), { format: 'IDX' });
  expect((await keysIn(room.bucket)).filter((key) => !before.includes(key))).toEqual([`sha256/${sha256!.slice(0, 2)}/${sha256}`]);
  expect((await room.objects.get(sha256!)).length).toBe(Number(bytes));
  expect(await spools()).toEqual([]);
});

it('validating again, or eight times at once, changes nothing', async () => {
  const { id } = await submit(room, newFiles(), { format: 'IDX' });
  await Promise.all(Array.from({ length: 8 }, () => validateDataset(room, id, never).catch(() => undefined)));
  const dataset = await rowOf(id);
  expect(dataset.status).toBe('READY');
  await validateDataset(room, id, never);
  expect(await rowOf(id)).toEqual(dataset);
  await validateDataset(room, 'deleted-meanwhile', never);
});

it('with the object store away the data set stays VALIDATING, and the attempt does not count', async () => {
  const { id } = await submit(room, newFiles(), { format: 'IDX' });
  const objects = createObjectStore({ ...room.bucket, endpoint: 'http://127.0.0.1:9' });
  await expect(validateDataset({ ...room, objects }, id, never)).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  expect(await rowOf(id)).toMatchObject({ status: 'VALIDATING', attempts: 0 });
  expect(await spools()).toEqual([]);
  await validateDataset(room, id, never);
  expect((await rowOf(id)).status).toBe('READY');
});

it('a validation that is told to stop leaves the data set for the next worker', async () => {
  const { id } = await submit(room, newFiles(), { format: 'IDX' });
  await expect(validateDataset(room, id, AbortSignal.abort())).rejects.toThrow();
  expect(await rowOf(id)).toMatchObject({ status: 'VALIDATING', attempts: 0 });
  expect(await spools()).toEqual([]);
});

it('a data set whose validation ended five processes is given up', async () => {
  const { id } = await submit(room, newFiles(), { format: 'IDX' });
  await room.database.dataset.update({ where: { id }, data: { attempts: 5 } });
  await validateDataset(room, id, never);
  expect(await rowOf(id)).toMatchObject({ status: 'INVALID', problems: ['its validation ended the process that read it, 5 times'] });
});

it('only data sets whose job is lost are put back in the queue', async () => {
  const { id } = await submit(room, newFiles(), { format: 'IDX' });
  await recoverDatasets(room);
  expect(await recoverDatasets(room)).toBe(0);
  await room.queue.remove('validate-dataset', { v: 1, datasetId: id });
  expect(await recoverDatasets(room)).toBe(1);
  expect(await room.queue.has('validate-dataset', { v: 1, datasetId: id })).toBe(true);
});

it('deleting removes row and object, but not an object that another data set shares', async () => {
  const files = newFiles();
  const one = await validated(room, files, { format: 'IDX' });
  const other = await validated(room, files, { format: 'IDX' });
  expect(other.sha256).toBe(one.sha256);
  await deleteDataset(room, one.name, 1);
  expect(await room.objects.has(one.sha256!)).toBe(true);
  await deleteDataset(room, other.name, 1);
  expect(await room.objects.has(one.sha256!)).toBe(false);
  await expect(deleteDataset(room, one.name, 1)).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'name' });
});

it('deleting and validating the same content at once never leaves a row without its object', async () => {
  const files = newFiles();
  for (let round = 0; round < 5; round++) {
    const old = await validated(room, files, { format: 'IDX' });
    const { id } = await submit(room, files, { format: 'IDX' });
    await Promise.all([deleteDataset(room, old.name, 1), validateDataset(room, id, never)]);
    const { status, sha256, name } = await rowOf(id);
    expect(status).toBe('READY');
    expect(await room.objects.has(sha256!)).toBe(true);
    await deleteDataset(room, name, 1);
  }
});

it('with the object store away a data set is deleted, and its objects go later', async () => {
  const { id, name, sha256 } = await validated(room, newFiles(), { format: 'IDX' });
  const away = { ...room, objects: createObjectStore({ ...room.bucket, endpoint: 'http://127.0.0.1:9' }) };
  await deleteDataset(away, name, 1);
  expect(await room.database.dataset.findUnique({ where: { id } })).toBeNull();
  expect(await room.objects.has(sha256!)).toBe(true);
  await removeDroppedObjects(room);
  expect(await room.objects.has(sha256!)).toBe(false);
});

it('uploads that nobody will read go after a day: imports that never came, and what a deleted data set was sent', async () => {
  const [waiting, deleted] = [
    await createDataset(room, { name: freshName('set-'), format: 'IDX' }),
    await createDataset(room, { name: freshName('set-'), format: 'IDX' }),
  ];
  await deleteDataset(room, deleted.dataset.name, 1);
  for (const { uploads } of [waiting, deleted]) await upload(uploads, newFiles());
  const weights = `weights/${randomUUID()}/${randomUUID()}`;
  await fetch(await room.objects.presignUpload(weights, 60), { method: 'PUT', body: 'weights' });
  const uploadsOf = async (prefix: string) => (await keysIn(room.bucket)).filter((key) => key.startsWith(`uploads/${prefix}`)).length;
  const counts = () => Promise.all([waiting.dataset.id, deleted.dataset.id, 'weights/'].map(uploadsOf));
  expect(await counts()).toEqual([4, 4, 1]);
  await removeStrayUploads(room);
  expect(await counts()).toEqual([4, 4, 1]);
  // By the store's clock, which tells whole seconds.
  await removeStrayUploads(room, -2_000);
  expect(await counts()).toEqual([4, 0, 0]);
});

it('a data set that is deleted while it is being validated leaves no object', async () => {
  const { id, name } = await submit(room, newFiles(), { format: 'IDX' });
  const before = (await keysIn(room.bucket)).filter((key) => key.startsWith('sha256/'));
  const objects = createObjectStore(room.bucket);
  const putFile = objects.putFile.bind(objects);
  // The moment between the object and the row.
  objects.putFile = async (file) => {
    const object = await putFile(file);
    await deleteDataset(room, name, 1);
    return object;
  };
  await validateDataset({ ...room, objects }, id, never);
  expect((await keysIn(room.bucket)).filter((key) => key.startsWith('sha256/'))).toEqual(before);
});

it('a data set that a run was trained on cannot be deleted', async () => {
  const { id, name } = await validated(room, newFiles(), { format: 'IDX' });
  const shape = { height: 2, width: 3, channels: 1 };
  const model = await room.database.model.create({ data: { name: freshName('model-'), definition: {}, ...shape } });
  await room.database.trainingRun.create({ data: { modelId: model.id, datasetId: id, config: {}, plan: {}, totalSteps: 1 } });
  await expect(deleteDataset(room, name, 1)).rejects.toMatchObject({ code: 'CONFLICT', field: 'name' });
  expect((await rowOf(id)).status).toBe('READY');
});

it('samples are drawn by the seed alone, without repetition, and are the pixels of the data set', async () => {
  const labels = Array.from({ length: 250 }, (_, record) => record % 5);
  const dataset = await validated(room, idxFiles({ labels }, { labels: [0] }), { format: 'IDX', classNames: ['a', 'b', 'c', 'd', 'e'] });
  const draw = (seed: number | null, first: number, split: 'TRAIN' | 'TEST' = 'TRAIN') =>
    sampleDataset(room, dataset, { split, first, seed });
  const samples = await draw(7, 100);
  expect(new Set(samples.map(({ index }) => index)).size).toBe(100);
  expect(await draw(7, 100)).toEqual(samples);
  expect((await draw(7, 10)).map(({ index }) => index)).toEqual(samples.slice(0, 10).map(({ index }) => index));
  expect((await draw(8, 100)).map(({ index }) => index)).not.toEqual(samples.map(({ index }) => index));
  expect((await draw(null, 3)).map(({ index }) => index)).toEqual([0, 1, 2]);
  expect(await draw(7, 100, 'TEST')).toHaveLength(1);
  for (const { index, label, className, png } of samples.slice(0, 5)) {
    expect([label, className]).toEqual([index % 5, 'abcde'[index % 5]]);
    const pixels = await decodeImage(png, { height: 2, width: 3, channels: 1 }, 100);
    expect([...pixels]).toEqual(new Array(6).fill(index));
  }
  await expect(draw(7, 101)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'first' });
  await expect(draw(7, -1)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'first' });
  expect(await sampleDataset(room, { ...dataset, sha256: null }, { split: 'TRAIN' })).toEqual([]);
});

it.each([
  ['the file', undefined],
  ['memory', { inMemoryBytes: 1_200 }],
  ['the file, a byte too large for memory', { inMemoryBytes: 1_199 }],
])('images come in the order that is asked for, from any place of %s', async (_, options) => {
  const labels = Array.from({ length: 200 }, (_, record) => record % 2);
  const { sha256 } = await validated(room, idxFiles({ labels }, { labels: [0] }), { format: 'IDX' });
  const dataset = await openDataset(room, { sha256: sha256! }, options);
  const indices = [5, 6, 7, 3, 3, 199, 0, 1, 150];
  const into = new Uint8Array(indices.length * 6);
  dataset.gather('TRAIN', indices, into);
  expect(indices.map((_, place) => into[place * 6])).toEqual(indices);
  expect(indices.map((_, place) => into[place * 6 + 5])).toEqual(indices);
  for (const wrong of [[200], [-1], [198, 199, 200], [1.5]]) expect(() => dataset.gather('TRAIN', wrong, into)).toThrow(RangeError);
  expect(() => dataset.gather('TRAIN', indices, into.subarray(1))).toThrow(RangeError);
  dataset.close();
});

it('a local copy that is not whole is fetched again, a damaged object is refused', async () => {
  const { sha256 } = await validated(room, newFiles(), { format: 'IDX' });
  const [one, two] = await Promise.all([openDataset(room, { sha256: sha256! }), openDataset(room, { sha256: sha256! })]);
  expect([...one.labels('TRAIN')]).toEqual([...two.labels('TRAIN')]);
  one.close();
  two.close();
  const copy = path.join(room.dataDir, 'datasets', `${sha256}.safetensors`);
  await truncate(copy, 200);
  const again = await openDataset(room, { sha256: sha256! });
  expect(again.size('TEST')).toBe(3);
  again.close();
  expect(await readdir(path.dirname(copy))).not.toContainEqual(expect.stringMatching(/\.part$/));
  await expect(openDataset(room, { sha256: 'f'.repeat(64) })).rejects.toThrow(CorruptObjectError);
});

/** A pipe, for writing, once somebody waits to read it. */
async function openOnceRead(pipe: string): Promise<number> {
  for (;;) {
    try {
      return openSync(pipe, constants.O_WRONLY | constants.O_NONBLOCK);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENXIO') throw error;
    }
    await sleep(5);
  }
}

it('a copy that another process puts in place while ours has just found none stays', async () => {
  const { sha256 } = await validated(room, newFiles(), { format: 'IDX' });
  (await openDataset(room, { sha256: sha256! })).close();
  const copy = path.join(room.dataDir, 'datasets', `${sha256}.safetensors`);
  const [theirs, gate] = [path.join(room.dataDir, 'theirs'), path.join(room.dataDir, 'gate')];
  await rename(copy, theirs);
  // Whoever opens a pipe waits until somebody writes: ours is stopped between its look and its download.
  execFileSync('mkfifo', [gate]);
  await link(gate, copy);
  const away = { ...room, objects: createObjectStore({ ...room.bucket, endpoint: 'http://127.0.0.1:9' }) };
  const ours = openDataset(away, { sha256: sha256! }).catch((error: unknown) => error);
  const opened = await openOnceRead(gate);
  // At once: ours has been let go.
  renameSync(theirs, copy);
  closeSync(opened);
  expect(await ours).toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
  const again = await openDataset(away, { sha256: sha256! });
  expect(again.size('TEST')).toBe(3);
  again.close();
});

it('what a killed download has left goes with the first download a day later, and one under way stays', async () => {
  const { sha256 } = await validated(room, newFiles(), { format: 'IDX' });
  const folder = path.join(room.dataDir, 'datasets');
  const part = async (ageHours: number) => {
    const file = path.join(folder, `${sha256}.safetensors.${randomUUID()}.part`);
    await writeFile(file, 'half');
    const writtenAt = new Date(Date.now() - ageHours * 3_600_000);
    await utimes(file, writtenAt, writtenAt);
    return file;
  };
  const [, running] = [await part(25), await part(23)];
  (await openDataset(room, { sha256: sha256! })).close();
  expect((await readdir(folder)).filter((name) => name.endsWith('.part'))).toEqual([path.basename(running)]);
  await rm(running);
});
