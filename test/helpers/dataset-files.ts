import { crc32, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import sharp from 'sharp';
import { pack, type Header } from 'tar-stream';

/** Bytes of data sets, good and bad, made on the spot. */

export interface IdxSplitOptions {
  readonly labels: readonly number[];
  readonly height?: number;
  readonly width?: number;
  /** Value of each pixel of an image. */
  readonly value?: (record: number) => number;
}

export function idxImages({ labels, height = 2, width = 3, value = (record) => record }: IdxSplitOptions): Buffer {
  const pixels = labels.flatMap((_, record) => new Array<number>(height * width).fill(value(record)));
  return Buffer.concat([words(0x803, labels.length, height, width), Buffer.from(pixels)]);
}

export const idxLabels = ({ labels }: IdxSplitOptions) => Buffer.concat([words(0x801, labels.length), Buffer.from(labels)]);

const words = (...values: number[]) => Buffer.concat(values.map((value) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value])));

/** The four files of MNIST: six images of three classes for TRAIN, three for TEST. */
export function idxFiles(
  train: IdxSplitOptions = { labels: [0, 1, 2, 0, 1, 2] },
  test: IdxSplitOptions = { labels: [2, 1, 0] },
): Record<string, Buffer> {
  return {
    'train-images-idx3-ubyte': idxImages(train),
    'train-labels-idx1-ubyte': idxLabels(train),
    't10k-images-idx3-ubyte': idxImages(test),
    't10k-labels-idx1-ubyte': idxLabels(test),
  };
}

/** Records of CIFAR's binary version: `labels` are the label bytes of each record, `planes` the value of each of its planes. */
export function cifarRecords(labels: readonly (readonly number[])[], planes = [10, 20, 30]): Buffer {
  const pixels = Buffer.concat(planes.map((value) => Buffer.alloc(1_024, value)));
  return Buffer.concat(labels.flatMap((bytes) => [Buffer.from(bytes), pixels]));
}

const tenLabels = Array.from({ length: 10 }, (_, label) => [label]);

/** Small batches of CIFAR-10: every class once in each. */
export const cifar10Files = (): Record<string, Buffer> =>
  Object.fromEntries(
    [...[1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`), 'test_batch.bin'].map((name) => [name, cifarRecords(tenLabels)]),
  );

/** CIFAR-100 with every fine class once. */
export function cifar100Files(): Record<string, Buffer> {
  const records = cifarRecords(Array.from({ length: 100 }, (_, label) => [label % 20, label]));
  return { 'train.bin': records, 'test.bin': records };
}

export interface ArchiveFile {
  readonly name: string;
  readonly content?: Uint8Array;
  /** Of a symbolic link. */
  readonly target?: string;
}

export async function tar(files: readonly ArchiveFile[]): Promise<Buffer> {
  const archive = pack();
  for (const { name, content, target } of files) {
    const type: Header['type'] = target !== undefined ? 'symlink' : name.endsWith('/') ? 'directory' : 'file';
    archive.entry({ name, type, ...(target !== undefined && { linkname: target }) }, Buffer.from(content ?? []));
  }
  archive.finalize();
  const chunks: Buffer[] = [];
  for await (const chunk of archive) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

export const tarGz = async (files: readonly ArchiveFile[]) => gzipSync(await tar(files));

/** A .zip (PKWARE APPNOTE 4.3), deflated; only as much of the format as a reader insists on. */
export function zip(files: readonly (ArchiveFile & { readonly claimedBytes?: number; readonly flags?: number })[]): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content = new Uint8Array(), target, claimedBytes, flags = 0x800 } of files) {
    const data = target === undefined ? content : Buffer.from(target);
    const packed = deflateRawSync(data);
    const path = Buffer.from(name);
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(flags, 2);
    common.writeUInt16LE(8, 4);
    common.writeUInt32LE(crc32(data), 10);
    common.writeUInt32LE(packed.length, 14);
    common.writeUInt32LE(claimedBytes ?? data.length, 18);
    common.writeUInt16LE(path.length, 22);
    const rest = Buffer.alloc(14);
    if (target !== undefined) rest.writeUInt32LE((0o120777 << 16) >>> 0, 6);
    rest.writeUInt32LE(offset, 10);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, path, packed]);
    directory.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), common, rest, path);
    parts.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(files.length, 8);
  end.writeUInt16LE(files.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...parts, central, end]);
}

export type ImageKind = 'png' | 'jpeg' | 'webp';

/** An image of one colour. */
export async function image(colour: string, { height = 8, width = 8, kind = 'png' as ImageKind, grey = false } = {}): Promise<Buffer> {
  const drawn = sharp({ create: { width, height, channels: 3, background: colour } });
  return (grey ? drawn.toColourspace('b-w') : drawn).toFormat(kind).toBuffer();
}

/** A PNG that says it has this size, and then holds next to nothing. */
export function pngHead(height: number, width: number): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    return Buffer.concat([words(data.length), body, words(crc32(body))]);
  };
  const head = Buffer.concat([words(width, height), Buffer.from([8, 2, 0, 0, 0])]);
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', deflateSync(Buffer.alloc(1_000))), chunk('IEND', Buffer.alloc(0))]);
}

/** Two classes, two images of each in `train`, one in `test`. */
export async function folderFiles(top = ''): Promise<ArchiveFile[]> {
  const [cat, dog] = await Promise.all([image('#f00'), image('#00f', { kind: 'webp' })]);
  const places = ['train/cat/1.png', 'train/cat/2.png', 'test/cat/1.png', 'train/dog/1.webp', 'train/dog/2.webp', 'test/dog/1.webp'];
  return places.map((name) => ({ name: top + name, content: name.includes('cat') ? cat : dog }));
}
