import { MAX_RECORDS, streamBytes, type ByteSource, type Records, type RecordSplit, type Report } from './records.js';

/**
 * The IDX format of MNIST (yann.lecun.com/exdb/mnist, "FILE FORMATS FOR THE MNIST DATABASE"): a magic number 0, 0,
 * type, dimensions; the sizes of the dimensions, four bytes each, big-endian; the values, row-major.
 */

export const IDX_FILES = {
  trainImages: 'train-images-idx3-ubyte',
  trainLabels: 'train-labels-idx1-ubyte',
  testImages: 't10k-images-idx3-ubyte',
  testLabels: 't10k-labels-idx1-ubyte',
} as const;
export type IdxFiles = Record<keyof typeof IDX_FILES, ByteSource>;

const IMAGES = { magic: 0x0803, dimensions: 3, kind: 'unsigned bytes in three dimensions', record: 'image' };
const LABELS = { magic: 0x0801, dimensions: 1, kind: 'unsigned bytes in one dimension', record: 'label' };

/**
 * Grey images, (H, W, 1).
 * @param classNames where null, there are as many classes as the largest label says, named by their numbers
 * @returns null where the problems leave nothing to read
 */
export async function openIdx(
  files: IdxFiles,
  classNames: readonly string[] | null,
  report: Report,
): Promise<Records | null> {
  const train = await openSplit(files.trainImages, files.trainLabels, report);
  const test = await openSplit(files.testImages, files.testLabels, report);
  if (!train || !test) return null;
  if (train.height !== test.height || train.width !== test.width) {
    const size = ({ height, width }: IdxSplit) => `${height} x ${width}`;
    report(`${files.testImages.name}: images of ${size(test)}, but ${files.trainImages.name} has ${size(train)}`);
    return null;
  }
  const names =
    classNames ?? Array.from({ length: largest(train.labels, test.labels) + 1 }, (_, label) => String(label));
  checkLabels(files.trainLabels.name, train.labels, names.length, report);
  checkLabels(files.testLabels.name, test.labels, names.length, report);
  return { shape: { height: train.height, width: train.width, channels: 1 }, classNames: names, train, test };
}

interface IdxSplit extends RecordSplit {
  readonly height: number;
  readonly width: number;
}

async function openSplit(images: ByteSource, labels: ByteSource, report: Report): Promise<IdxSplit | null> {
  const imageSizes = await readHeader(images, IMAGES, report);
  const labelSizes = await readHeader(labels, LABELS, report);
  if (!imageSizes || !labelSizes) return null;
  const [count, height, width] = imageSizes as [number, number, number];
  if (count !== labelSizes[0]) {
    report(`${labels.name}: ${labelSizes[0]} labels, but ${images.name} has ${count} images`);
    return null;
  }
  return {
    height,
    width,
    labels: Int32Array.from(await labels.read(headerBytes(LABELS), labels.bytes)),
    images: () => streamBytes(images, headerBytes(IMAGES)),
  };
}

const headerBytes = ({ dimensions }: { dimensions: number }) => 4 + 4 * dimensions;

/** The sizes of the dimensions, once the file has just as many bytes as they say. */
async function readHeader(source: ByteSource, expected: typeof IMAGES, report: Report): Promise<number[] | null> {
  const refuse = (problem: string) => {
    report(`${source.name}: ${problem}`);
    return null;
  };
  const start = headerBytes(expected);
  const header = await source.read(0, Math.min(start, source.bytes));
  if (header.length >= 4 && header.readUInt32BE(0) !== expected.magic)
    return refuse(`magic number ${hex(header.readUInt32BE(0))}, not ${hex(expected.magic)} (${expected.kind})`);
  if (header.length < start) return refuse(`truncated in its header, after ${source.bytes} bytes`);
  const sizes = Array.from({ length: expected.dimensions }, (_, dimension) => header.readUInt32BE(4 + 4 * dimension));
  const [count, ...record] = sizes as [number, ...number[]];
  if (count > MAX_RECORDS) return refuse(`${count} records, more than ${MAX_RECORDS}`);
  if (record.includes(0)) return refuse(`images of ${record.join(' x ')} pixels`);
  const recordBytes = record.reduce((product, size) => product * size, 1);
  const missing = start + count * recordBytes - source.bytes;
  if (missing > 0) {
    const whole = Math.floor((source.bytes - start) / recordBytes);
    return refuse(`truncated: record ${whole} of ${count} is not whole, ${missing} bytes are missing`);
  }
  if (missing < 0) return refuse(`${-missing} bytes follow the last of ${count} records`);
  return sizes;
}

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;

function largest(...labels: Int32Array[]): number {
  let maximum = 0;
  for (const list of labels) for (const label of list) maximum = Math.max(maximum, label);
  return maximum;
}

function checkLabels(file: string, labels: Int32Array, classes: number, report: Report): void {
  for (const [record, label] of labels.entries())
    if (label >= classes)
      report(`${file}: record ${record}: label ${label} is out of range, there are ${classes} classes`);
}
