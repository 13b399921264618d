import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DatasetFormat } from '../../src/infra/prisma/client.js';
import { keysIn } from '../helpers/buckets.js';
import {
  cifar100Files,
  cifar10Files,
  cifarRecords,
  folderFiles,
  idxFiles,
  idxLabels,
  image,
  pngHead,
  tar,
  tarGz,
  zip,
  type ArchiveFile,
} from '../helpers/dataset-files.js';
import { openDatasetRoom, validated, type DatasetRoom, type Files } from '../helpers/datasets.js';

let room: DatasetRoom;
beforeAll(async () => void (room = await openDatasetRoom()));
afterAll(() => room.close());

interface Fault {
  readonly format: DatasetFormat;
  readonly files: () => Files | Promise<Files>;
  readonly problems: readonly (string | RegExp)[];
  readonly classNames?: readonly string[];
  readonly maxBytes?: number;
}

/** INVALID for just these reasons, with nothing left in the store. */
async function expectFault({ format, files, problems, classNames, maxBytes = room.maxBytes }: Fault): Promise<void> {
  const dataset = await validated({ ...room, maxBytes }, await files(), { format, classNames: classNames ?? null });
  expect(dataset.problems).toEqual(problems.map((problem) => (typeof problem === 'string' ? problem : expect.stringMatching(problem))));
  expect(dataset).toMatchObject({ status: 'INVALID', sha256: null, bytes: null, trainSize: 0, channelMean: [] });
  expect(await keysIn(room.bucket)).toEqual([]);
}

const altered = (files: Record<string, Buffer>, name: string, alter: (bytes: Buffer) => Buffer) => ({
  ...files,
  [name]: alter(Buffer.from(files[name]!)),
});
const withByte = (offset: number, value: number) => (bytes: Buffer) => {
  bytes[offset] = value;
  return bytes;
};

const IDX: Record<string, Omit<Fault, 'format'>> = {
  'a truncated file': {
    files: () => altered(idxFiles(), 'train-images-idx3-ubyte', (bytes) => bytes.subarray(0, 16 + 4 * 6 + 2)),
    problems: ['train-images-idx3-ubyte: truncated: record 4 of 6 is not whole, 10 bytes are missing'],
  },
  'a truncated header': {
    files: () => altered(idxFiles(), 't10k-labels-idx1-ubyte', (bytes) => bytes.subarray(0, 6)),
    problems: ['t10k-labels-idx1-ubyte: truncated in its header, after 6 bytes'],
  },
  'an empty file': {
    files: () => altered(idxFiles(), 't10k-labels-idx1-ubyte', () => Buffer.alloc(0)),
    problems: ['t10k-labels-idx1-ubyte: truncated in its header, after 0 bytes'],
  },
  'trailing bytes': {
    files: () => altered(idxFiles(), 't10k-images-idx3-ubyte', (bytes) => Buffer.concat([bytes, Buffer.alloc(5)])),
    problems: ['t10k-images-idx3-ubyte: 5 bytes follow the last of 3 records'],
  },
  'a wrong magic number': {
    files: () => altered(idxFiles(), 'train-images-idx3-ubyte', () => idxLabels({ labels: [1, 2] })),
    problems: ['train-images-idx3-ubyte: magic number 0x00000801, not 0x00000803 (unsigned bytes in three dimensions)'],
  },
  'a header that claims four billion images': {
    files: () => altered(idxFiles(), 'train-images-idx3-ubyte', withByte(4, 0xff)),
    problems: [/^train-images-idx3-ubyte: 4278190086 records, more than 10000000$/],
  },
  'images of no height': {
    files: () => altered(idxFiles(), 'train-images-idx3-ubyte', withByte(11, 0)),
    problems: ['train-images-idx3-ubyte: images of 0 x 3 pixels'],
  },
  'more labels than images': {
    files: () => altered(idxFiles(), 'train-labels-idx1-ubyte', () => idxLabels({ labels: [0, 1, 2, 0, 1, 2, 0] })),
    problems: ['train-labels-idx1-ubyte: 7 labels, but train-images-idx3-ubyte has 6 images'],
  },
  'a label that classNames has no name for': {
    files: () => altered(idxFiles(), 'train-labels-idx1-ubyte', withByte(8 + 4, 3)),
    classNames: ['a', 'b', 'c'],
    problems: ['train-labels-idx1-ubyte: record 4: label 3 is out of range, there are 3 classes'],
  },
  'more classNames than labels': {
    files: () => idxFiles(),
    classNames: ['a', 'b', 'c', 'd'],
    problems: ['class 3 (d) has no image in the TRAIN split'],
  },
  'an empty class': {
    files: () => idxFiles({ labels: [0, 3, 3] }, { labels: [0] }),
    problems: ['class 1 (1) has no image in the TRAIN split', 'class 2 (2) has no image in the TRAIN split'],
  },
  'a class that only TEST has': {
    files: () => idxFiles({ labels: [0, 1] }, { labels: [0, 2, 2] }),
    problems: ['class 2 (2) has no image in the TRAIN split, but 2 in the TEST split'],
  },
  'a single class': { files: () => idxFiles({ labels: [0] }, { labels: [0] }), problems: ['there are two classes or more, not 1'] },
  'an empty TEST split': { files: () => idxFiles({ labels: [0, 1] }, { labels: [] }), problems: ['the TEST split has no images'] },
  'splits of different sizes': {
    files: () => idxFiles({ labels: [0, 1] }, { labels: [0], height: 4 }),
    problems: ['t10k-images-idx3-ubyte: images of 4 x 3, but train-images-idx3-ubyte has 2 x 3'],
  },
  'a file cut off within gzip': {
    files: () => altered(idxFiles(), 'train-labels-idx1-ubyte', (bytes) => gzipSync(bytes).subarray(0, -9)),
    problems: ['train-labels-idx1-ubyte: broken gzip: unexpected end of file'],
  },
  'a gzip bomb': {
    files: () => altered(idxFiles(), 'train-labels-idx1-ubyte', () => gzipSync(Buffer.alloc(4_000_000))),
    maxBytes: 1_000_000,
    problems: [/^train-labels-idx1-ubyte: an archive bomb: unpacks to more than 9999\d\d bytes$/],
  },
  'files beyond the limit': {
    files: () => idxFiles(),
    maxBytes: 60,
    problems: ['train-labels-idx1-ubyte: 14 bytes, more than the 8 that are left of 60'],
  },
  'more problems than anybody reads': {
    files: () => idxFiles({ labels: new Array<number>(50).fill(9) }),
    classNames: ['a', 'b', 'c'],
    problems: [
      ...Array.from({ length: 20 }, (_, record) => new RegExp(`^train-labels-idx1-ubyte: record ${record}: label 9 is out of range`)),
      'and 33 more',
    ],
  },
};

const CIFAR: Record<string, Fault> = {
  'a truncated batch': {
    format: 'CIFAR10_BINARY',
    files: () => altered(cifar10Files(), 'data_batch_2.bin', (bytes) => bytes.subarray(0, 2 * 3_073 + 100)),
    problems: ['data_batch_2.bin: truncated: record 2 has 100 bytes of 3073'],
  },
  'a label out of range': {
    format: 'CIFAR10_BINARY',
    files: () => altered(cifar10Files(), 'test_batch.bin', withByte(3 * 3_073, 10)),
    problems: ['test_batch.bin: record 3: label 10 is out of range, there are 10 classes'],
  },
  'a coarse label out of range': {
    format: 'CIFAR100_BINARY',
    files: () => altered(cifar100Files(), 'train.bin', withByte(7 * 3_074, 20)),
    problems: ['train.bin: record 7: label 20 is out of range, there are 20 classes'],
  },
  'an archive without a batch': {
    format: 'CIFAR10_BINARY',
    files: async () => {
      const files = Object.entries(cifar10Files()).map(([name, content]) => ({ name: `x/${name}`, content }));
      return { 'cifar-10-binary.tar.gz': await tarGz(files.filter(({ name }) => name !== 'x/data_batch_4.bin')) };
    },
    problems: ['data_batch_4.bin: is missing'],
  },
  'an archive with too few class names': {
    format: 'CIFAR100_BINARY',
    files: async () => {
      const files = Object.entries(cifar100Files()).map(([name, content]) => ({ name, content }));
      return { 'cifar-100-binary.tar.gz': await tarGz([...files, { name: 'fine_label_names.txt', content: Buffer.from('apple\n') }]) };
    },
    problems: ['cifar-100-binary.tar.gz: fine_label_names.txt: 1 class names, not 100'],
  },
  'an empty class': {
    format: 'CIFAR10_BINARY',
    files: () => {
      const records = cifarRecords([0, 1, 2, 3, 4, 5, 6, 7, 8].map((label) => [label]));
      return Object.fromEntries(Object.keys(cifar10Files()).map((name) => [name, records]));
    },
    problems: ['class 9 (truck) has no image in the TRAIN split'],
  },
};

const SVG = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>');
const extra = async (...files: ArchiveFile[]) => [...(await folderFiles()), ...files];
const FOLDERS: Record<string, Omit<Fault, 'format'>> = {
  'a text where an image should be': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'train/cat/3.png', content: Buffer.from('meow') })) }),
    problems: [/^images\.zip: train\/cat\/3\.png: not a PNG, JPEG or WebP image/],
  },
  'an image that is cut off, in either split': {
    files: async () => {
      const cut = (await image('#0f0', { height: 64, width: 64 })).subarray(0, -40);
      return { 'images.tar': await tar(await extra({ name: 'train/dog/3.png', content: cut }, { name: 'test/dog/3.png', content: cut })) };
    },
    problems: [/^images\.tar: train\/dog\/3\.png: not a PNG/, /^images\.tar: test\/dog\/3\.png: not a PNG/],
  },
  'a format of images that is none of the three': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'train/cat/3.svg', content: SVG })) }),
    problems: [/^images\.zip: train\/cat\/3\.svg: not a PNG/],
  },
  'paths that leave a .zip': {
    files: async () => {
      const content = await image('#fff');
      return {
        'images.zip': zip(
          await extra({ name: '../evil.png', content }, { name: '/etc/evil.png', content }, { name: 'train\\..\\..\\evil.png', content }),
        ),
      };
    },
    problems: [
      'images.zip: ../evil.png: the path leaves the archive',
      'images.zip: /etc/evil.png: the path leaves the archive',
      'images.zip: train/../../evil.png: the path leaves the archive',
    ],
  },
  'paths that leave a .tar': {
    files: async () => ({ 'images.tar': await tar(await extra({ name: 'train/cat/../../../evil.png', content: await image('#fff') })) }),
    problems: ['images.tar: train/cat/../../../evil.png: the path leaves the archive'],
  },
  'a symbolic link': {
    files: async () => ({ 'images.tar': await tar(await extra({ name: 'train/cat/4.png', target: '/etc/passwd' })) }),
    problems: ['images.tar: train/cat/4.png: a symlink, not a regular file'],
  },
  'a symbolic link in a .zip': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'train/cat/4.png', target: '/etc/passwd' })) }),
    problems: ['images.zip: train/cat/4.png: a symlink, not a regular file'],
  },
  'an archive bomb': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'train/cat/4.png', content: Buffer.alloc(5_000_000) })) }),
    maxBytes: 1_000_000,
    problems: ['images.zip: an archive bomb: unpacks to more than 1000000 bytes'],
  },
  'a file that unpacks to more than it says': {
    files: async () => {
      const file = { name: 'train/cat/4.png', content: Buffer.alloc(5_000_000), claimedBytes: 10 };
      return { 'images.zip': zip([...(await folderFiles()), file]) };
    },
    problems: [/^images\.zip: train\/cat\/4\.png: too many bytes in the stream/],
  },
  'an image of 30,000 x 30,000 pixels': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'train/cat/4.png', content: pngHead(30_000, 30_000) })) }),
    problems: ['images.zip: train/cat/4.png: 30000 x 30000 pixels; at most 50000000 are decoded'],
  },
  'an encrypted file': {
    files: async () => ({
      'images.zip': zip([...(await folderFiles()), { name: 'train/cat/4.png', content: Buffer.from('x'), flags: 0x801 }]),
    }),
    problems: ['images.zip: train/cat/4.png: is encrypted'],
  },
  'an empty class folder': {
    files: async () => ({ 'images.tar': await tar(await extra({ name: 'train/emu/' })) }),
    problems: ['class 2 (emu) has no image in the TRAIN split'],
  },
  'a class that only test has': {
    files: async () => ({ 'images.zip': zip(await extra({ name: 'test/emu/1.png', content: await image('#fff') })) }),
    problems: ['class 2 (emu) has no image in the TRAIN split, but 1 in the TEST split'],
  },
  'a folder that classNames does not have': {
    files: async () => ({ 'images.zip': zip(await folderFiles()) }),
    classNames: ['cat', 'hound'],
    problems: ['images.zip: folder dog is not in classNames', 'class 1 (hound) has no image in the TRAIN split'],
  },
  'no test folder': {
    files: async () => ({ 'images.zip': zip((await folderFiles()).filter(({ name }) => name.startsWith('train'))) }),
    problems: ['images.zip: no folder test/CLASS, nor val or valid'],
  },
  'images in the wrong places': {
    files: async () => {
      const content = await image('#fff');
      return { 'images.zip': zip(await extra({ name: 'train/1.png', content }, { name: 'train/cat/young/1.png', content })) };
    },
    problems: [
      'images.zip: train/1.png: is not at split/class/file, with the splits train and test',
      'images.zip: train/cat/young/1.png: lies deeper than split/class/file',
    ],
  },
  'two top folders': {
    files: async () => ({ 'images.zip': zip([...(await folderFiles('a/')), ...(await folderFiles('b/')).slice(0, 1)]) }),
    problems: ['images.zip: b/train/cat/1.png: lies outside of the folder of the others'],
  },
  'something that is no archive': {
    files: () => ({ 'images.zip': Buffer.from('PKnot really') }),
    problems: [/^images\.zip: broken archive: /],
  },
  'a text': { files: () => ({ 'images.tar': Buffer.from('hello') }), problems: ['images.tar: broken archive: neither .zip nor .tar'] },
  'a .tar that is cut off': {
    files: async () => ({ 'images.tar': (await tar(await folderFiles())).subarray(0, 5 * 512 + 100) }),
    problems: [/^images\.tar: broken archive: Unexpected end of data$/],
  },
  'names that try to write to a terminal': {
    files: async () => ({ 'images.tar': await tar(await extra({ name: 'train/cat/\u001b[2J.png', content: Buffer.from('x') })) }),
    problems: [/^images\.tar: train\/cat\/\?\[2J\.png: not a PNG/],
  },
};

describe('validation says what is wrong with IDX files:', () => {
  it.each(Object.entries(IDX))('%s', (_, fault) => expectFault({ format: 'IDX', ...fault }));
});
describe('validation says what is wrong with CIFAR files:', () => {
  it.each(Object.entries(CIFAR))('%s', (_, fault) => expectFault(fault));
});
describe('validation says what is wrong with image folders:', () => {
  it.each(Object.entries(FOLDERS))('%s', (_, fault) => expectFault({ format: 'IMAGE_FOLDER', ...fault }));
});
