import { closeSync, openSync, readSync } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import path from 'node:path';
import {
  readSafetensorsIndex,
  safetensorsIndexBytes,
  type PlacedTensor,
  type SafetensorsIndex,
} from '../formats/safetensors.js';
import type { ImageShape } from '../infra/images.js';
import { CorruptObjectError, type ObjectStore } from '../infra/objects.js';

export type Split = 'TRAIN' | 'TEST';

/** A READY data set, decoded, in a local file. All reads are synchronous. */
export interface OpenDataset {
  readonly shape: ImageShape;
  size(split: Split): number;
  /** (N) class indices. Not to be written to. */
  labels(split: Split): Int32Array;
  /**
   * Images `indices` of a split, in that order.
   * @param into (indices.length, H, W, C), 0 to 255
   */
  gather(split: Split, indices: ArrayLike<number>, into: Uint8Array): void;
  close(): void;
}

/** Downloads under way in this process, by path. */
const downloads = new Map<string, Promise<SafetensorsIndex>>();

export interface OpenOptions {
  /**
   * Splits of no more bytes are kept in memory, for whoever goes through them again and again: a system call an image
   * takes as long as all else that makes a batch.
   * @default 0
   */
  readonly inMemoryBytes?: number;
}

/**
 * Opens the local copy under `<dataDir>/datasets`, which is fetched and checked against the hash where it is not there,
 * or is not whole.
 * @throws CorruptObjectError, SERVICE_UNAVAILABLE
 */
export async function openDataset(
  { objects, dataDir }: { objects: ObjectStore; dataDir: string },
  { sha256 }: { sha256: string },
  options: OpenOptions = {},
): Promise<OpenDataset> {
  const file = path.join(dataDir, 'datasets', `${sha256}.safetensors`);
  const running = downloads.get(file);
  if (running) return openFile(file, await running, options);
  const download = fetchCopy(objects, sha256, file).finally(() => downloads.delete(file));
  downloads.set(file, download);
  return openFile(file, await download, options);
}

async function fetchCopy(objects: ObjectStore, sha256: string, file: string): Promise<SafetensorsIndex> {
  const there = await readWhole(file);
  if (there) return there;
  // Not removed first: by now it may be another process's, and whole. The download takes its place at once.
  await objects.getToFile(sha256, file);
  const fetched = await readWhole(file);
  if (!fetched) throw new CorruptObjectError(`object ${sha256} is no decoded data set`);
  return fetched;
}

/** The index of a file that is as long as the index says, or null. */
async function readWhole(file: string): Promise<SafetensorsIndex | null> {
  try {
    const handle = await open(file);
    try {
      const prefix = Buffer.alloc(8);
      await handle.read(prefix, 0, 8, 0);
      const start = Buffer.alloc(safetensorsIndexBytes(prefix));
      await handle.read(start, 0, start.length, 0);
      const index = readSafetensorsIndex(start);
      return index.totalBytes === (await stat(file)).size ? index : null;
    } finally {
      await handle.close();
    }
  } catch {
    return null;
  }
}

function openFile(file: string, index: SafetensorsIndex, { inMemoryBytes = 0 }: OpenOptions): OpenDataset {
  const tensors = { TRAIN: tensor(index, 'train.images'), TEST: tensor(index, 'test.images') };
  const labelTensors = { TRAIN: tensor(index, 'train.labels'), TEST: tensor(index, 'test.labels') };
  const [, height, width, channels] = tensors.TRAIN.shape as [number, number, number, number];
  const imageBytes = height * width * channels;
  const labels: Partial<Record<Split, Int32Array>> = {};
  const descriptor = openSync(file, 'r');
  const open = ({ start, shape: [count] }: PlacedTensor): Images => {
    const bytes = count! * imageBytes;
    const read = bytes <= inMemoryBytes ? fromMemory(descriptor, start, bytes) : fromFile(descriptor, start);
    return { count: count!, imageBytes, read };
  };
  const images = { TRAIN: open(tensors.TRAIN), TEST: open(tensors.TEST) };
  return {
    shape: { height, width, channels },
    size: (split) => images[split].count,
    labels: (split) => (labels[split] ??= readLabels(descriptor, labelTensors[split])),
    gather: (split, indices, into) => gather(images[split], indices, into),
    close: () => closeSync(descriptor),
  };
}

/** One split's. */
interface Images {
  readonly count: number;
  readonly imageBytes: number;
  readonly read: Read;
}

/** `offset`: in bytes from the split's first image. */
type Read = (into: Uint8Array, offset: number) => void;

const fromFile =
  (file: number, start: number): Read =>
  (into, offset) =>
    readExactly(file, into, start + offset);

function fromMemory(file: number, start: number, bytes: number): Read {
  const all = new Uint8Array(bytes);
  readExactly(file, all, start);
  return (into, offset) => into.set(all.subarray(offset, offset + into.length));
}

/** Neighbours in the file that are neighbours in `indices` are read in one go. */
function gather({ count, imageBytes, read }: Images, indices: ArrayLike<number>, into: Uint8Array): void {
  if (into.length < indices.length * imageBytes) throw new RangeError(`${indices.length} images do not fit`);
  for (let from = 0, to = 1; from < indices.length; from = to++) {
    while (to < indices.length && indices[to] === indices[to - 1]! + 1) to++;
    const first = indices[from]!;
    if (!(Number.isInteger(first) && first >= 0 && first + to - from <= count))
      throw new RangeError(`no image ${first + to - from - 1}`);
    read(into.subarray(from * imageBytes, to * imageBytes), first * imageBytes);
  }
}

function readLabels(file: number, tensor: PlacedTensor): Int32Array {
  const labels = new Int32Array(tensor.shape[0]!);
  readExactly(file, new Uint8Array(labels.buffer), tensor.start);
  return labels;
}

function readExactly(file: number, into: Uint8Array, position: number): void {
  for (let filled = 0; filled < into.length;) {
    const read = readSync(file, into, filled, into.length - filled, position + filled);
    if (read === 0) throw new Error('the local copy of the data set was cut short while it was open');
    filled += read;
  }
}

function tensor(index: SafetensorsIndex, name: string): PlacedTensor {
  const found = index.tensors.get(name);
  if (!found) throw new CorruptObjectError(`the decoded data set has no tensor ${name}`);
  return found;
}
