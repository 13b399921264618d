import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openDataset } from '../../src/datasets/read-dataset.js';
import { CIFAR100 } from '../../src/formats/cifar.js';
import type { Dataset } from '../../src/infra/prisma/client.js';
import {
  cifar100Files,
  cifar10Files,
  cifarRecords,
  folderFiles,
  idxFiles,
  image,
  tar,
  tarGz,
  zip,
  type ArchiveFile,
} from '../helpers/dataset-files.js';
import { openDatasetRoom, validated, type DatasetRoom } from '../helpers/datasets.js';

let room: DatasetRoom;
beforeAll(async () => void (room = await openDatasetRoom()));
afterAll(() => room.close());

/** All images and labels of a split. */
async function contents({ sha256 }: Dataset, split: 'TRAIN' | 'TEST') {
  const dataset = await openDataset(room, { sha256: sha256! });
  const { height, width, channels } = dataset.shape;
  const indices = Array.from({ length: dataset.size(split) }, (_, index) => index);
  const pixels = new Uint8Array(indices.length * height * width * channels);
  dataset.gather(split, indices, pixels);
  const labels = [...dataset.labels(split)];
  dataset.close();
  return { pixels, labels, recordBytes: height * width * channels };
}

describe('IDX', () => {
  it('becomes grey images in the order of the files, with statistics of TRAIN alone', async () => {
    const dataset = await validated(room, idxFiles(), { format: 'IDX' });
    expect(dataset).toMatchObject({
      status: 'READY',
      problems: [],
      height: 2,
      width: 3,
      channels: 1,
      trainSize: 6,
      testSize: 3,
      trainCounts: [2, 2, 2],
      testCounts: [1, 1, 1],
      classNames: ['0', '1', '2'],
      attempts: 1,
    });
    const values = [0, 1, 2, 3, 4, 5];
    expect(dataset.channelMean[0]).toBeCloseTo(2.5 / 255, 12);
    expect(dataset.channelStd[0]).toBeCloseTo(Math.sqrt(35 / 12) / 255, 12);
    const { pixels, labels } = await contents(dataset, 'TRAIN');
    expect([...pixels]).toEqual(values.flatMap((value) => new Array(6).fill(value)));
    expect(labels).toEqual([0, 1, 2, 0, 1, 2]);
    expect((await contents(dataset, 'TEST')).labels).toEqual([2, 1, 0]);
  });

  it('is the same data set packed with gzip, under either name', async () => {
    const plain = await validated(room, idxFiles(), { format: 'IDX' });
    const [images, ...others] = Object.entries(idxFiles()).map(([name, bytes]) => [name, gzipSync(bytes)] as const);
    const packed = Object.fromEntries([[`${images![0]}.gz`, images![1]], ...others]);
    const dataset = await validated(room, packed, { format: 'IDX', classNames: ['a', 'b', 'c'] });
    expect(dataset).toMatchObject({ status: 'READY', sha256: plain.sha256, bytes: plain.bytes, classNames: ['a', 'b', 'c'] });
  });

  it('reads Fashion-MNIST whole in seconds', async () => {
    const names = ['train-images-idx3-ubyte.gz', 'train-labels-idx1-ubyte.gz', 't10k-images-idx3-ubyte.gz', 't10k-labels-idx1-ubyte.gz'];
    const read = async (name: string) => [name, await readFile(`/usr/share/datasets/fashion-mnist/${name}`)] as const;
    const files = Object.fromEntries(await Promise.all(names.map(read)));
    const startedAt = performance.now();
    const dataset = await validated(room, files, { format: 'IDX' });
    expect(performance.now() - startedAt).toBeLessThan(20_000);
    expect(dataset).toMatchObject({
      status: 'READY',
      height: 28,
      width: 28,
      channels: 1,
      trainSize: 60_000,
      testSize: 10_000,
      trainCounts: new Array(10).fill(6_000),
      testCounts: new Array(10).fill(1_000),
    });
    expect(dataset.channelMean[0]).toBeCloseTo(0.286, 4);
    expect(dataset.channelStd[0]).toBeCloseTo(0.353, 4);
  });
});

describe('CIFAR', () => {
  it('becomes RGB pixels, channel by channel beside each other', async () => {
    const dataset = await validated(room, cifar10Files(), { format: 'CIFAR10_BINARY' });
    expect(dataset).toMatchObject({ status: 'READY', height: 32, width: 32, channels: 3, trainSize: 50, testSize: 10 });
    expect(dataset.classNames).toEqual('airplane automobile bird cat deer dog frog horse ship truck'.split(' '));
    for (const [channel, mean] of dataset.channelMean.entries()) expect(mean).toBeCloseTo([10, 20, 30][channel]! / 255, 12);
    expect(dataset.channelStd, 'a channel without any variance can be divided by').toEqual([1, 1, 1]);
    const { pixels, labels } = await contents(dataset, 'TRAIN');
    expect(labels.slice(0, 12)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
    expect(pixels.length).toBe(50 * 3_072);
    expect(pixels.every((value, index) => value === [10, 20, 30][index % 3])).toBe(true);
  });

  it('is the same from the official archive, whose class names it takes', async () => {
    const plain = await validated(room, cifar10Files(), { format: 'CIFAR10_BINARY' });
    const files: ArchiveFile[] = Object.entries(cifar10Files()).map(([name, content]) => ({
      name: `cifar-10-batches-bin/${name}`,
      content,
    }));
    const names = Array.from({ length: 10 }, (_, label) => `kind ${label}`);
    files.push({ name: 'cifar-10-batches-bin/batches.meta.txt', content: Buffer.from(`${names.join('\n')}\n\n`) });
    const dataset = await validated(room, { 'cifar-10-binary.tar.gz': await tarGz(files) }, { format: 'CIFAR10_BINARY' });
    expect(dataset).toMatchObject({ status: 'READY', problems: [], sha256: plain.sha256, classNames: names });
  });

  it('of a hundred classes goes by the fine label', async () => {
    const dataset = await validated(room, cifar100Files(), { format: 'CIFAR100_BINARY' });
    expect(dataset).toMatchObject({ status: 'READY', classNames: [...CIFAR100.classNames], trainCounts: new Array(100).fill(1) });
    expect((await contents(dataset, 'TEST')).labels).toEqual(Array.from({ length: 100 }, (_, label) => label));
  });

  it('reads records across the pieces that a file is read in', async () => {
    const records = Array.from({ length: 1_000 }, (_, record) => [record % 10]);
    const files = { ...cifar10Files(), 'data_batch_3.bin': cifarRecords(records) };
    const dataset = await validated(room, files, { format: 'CIFAR10_BINARY' });
    const { labels, pixels } = await contents(dataset, 'TRAIN');
    expect(labels.slice(20, 1_020)).toEqual(records.flat());
    expect(pixels.every((value, index) => value === [10, 20, 30][index % 3])).toBe(true);
  });
});

describe('an image folder', () => {
  const archives = [
    ['images.zip', async (files: ArchiveFile[]) => zip(files)],
    ['images.tar', tar],
    ['images.tar.gz', tarGz],
  ] as const;
  it.each(archives)('%s: labels go by the sorted names of the folders', async (name, make) => {
    const dataset = await validated(room, { [name]: await make(await folderFiles()) }, { format: 'IMAGE_FOLDER' });
    expect(dataset).toMatchObject({
      status: 'READY',
      problems: [],
      height: 8,
      width: 8,
      channels: 3,
      classNames: ['cat', 'dog'],
      trainCounts: [2, 2],
      testCounts: [1, 1],
    });
    const { pixels, labels } = await contents(dataset, 'TRAIN');
    expect(labels).toEqual([0, 0, 1, 1]);
    expect([...pixels.subarray(0, 3)]).toEqual([255, 0, 0]);
    expect(dataset.channelMean[0]).toBeCloseTo(0.5, 1);
  });

  it('is told by its content, may lie in one folder, and ignores what operating systems leave', async () => {
    const junk = ['__MACOSX/top/train/cat/._1.png', 'top/.DS_Store', 'top/train/cat/Thumbs.db', 'top/README.md'];
    const files = [...(await folderFiles('top/')), ...junk.map((name) => ({ name, content: Buffer.from('x') }))];
    const dataset = await validated(room, { 'images.zip': await tarGz(files) }, { format: 'IMAGE_FOLDER' });
    expect(dataset).toMatchObject({ status: 'READY', problems: [], trainSize: 4, testSize: 2 });
  });

  it('without test takes val for it, with test leaves val out', async () => {
    const renamed = (await folderFiles()).map((file) => ({ ...file, name: file.name.replace('test/', 'val/') }));
    const val = await validated(room, { 'images.tar': await tar(renamed) }, { format: 'IMAGE_FOLDER' });
    expect(val).toMatchObject({ status: 'READY', testSize: 2 });
    const extra = { name: 'val/cat/9.png', content: await image('#123') };
    const both = await validated(room, { 'images.tar': await tar([...(await folderFiles()), extra]) }, { format: 'IMAGE_FOLDER' });
    expect(both).toMatchObject({ status: 'READY', testSize: 2 });
  });

  it('takes the order of its labels from classNames', async () => {
    const input = { format: 'IMAGE_FOLDER', classNames: ['dog', 'cat'] } as const;
    const dataset = await validated(room, { 'images.zip': zip(await folderFiles()) }, input);
    expect(dataset.classNames).toEqual(['dog', 'cat']);
    expect((await contents(dataset, 'TRAIN')).labels).toEqual([1, 1, 0, 0]);
  });

  it('is grey where all are, and takes the size of most of its images', async () => {
    const sizes = [
      [8, 6],
      [8, 6],
      [8, 6],
      [20, 10],
    ] as const;
    const files = await Promise.all(
      sizes.flatMap(([height, width], index) =>
        ['train/a', 'train/b', 'test/a', 'test/b'].map(async (folder) => {
          const content = await image('#808080', { height, width, grey: true, kind: 'jpeg' });
          return { name: `${folder}/${index}.jpg`, content };
        }),
      ),
    );
    const dataset = await validated(room, { 'images.zip': zip(files) }, { format: 'IMAGE_FOLDER' });
    expect(dataset).toMatchObject({ status: 'READY', height: 8, width: 6, channels: 1, trainSize: 8 });
  });
});
