import { randomBytes } from 'node:crypto';
import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { findDatasetFolder } from '../src/cli/dataset-folder.js';
import { openDataset, type OpenDataset } from '../src/datasets/read-dataset.js';
import { writeDecoded } from '../src/datasets/write-decoded.js';
import type { Normalisation } from '../src/domain/normalisation.js';
import { IDX_FILES, openIdx, type IdxFiles } from '../src/formats/idx.js';
import type { ByteSource, Records, RecordSplit } from '../src/formats/records.js';
import type { ObjectStore } from '../src/infra/objects.js';
import type { ImageShape } from '../src/infra/images.js';

/** A data set as a worker has it: decoded, in a local file. */
export interface LocalDataset {
  readonly data: OpenDataset;
  readonly normalisation: Normalisation;
  readonly classNames: readonly string[];
  /** Removes the file. */
  close(): Promise<void>;
}

/** Decodes records into a worker's local copy, in a folder of its own. */
export async function openLocally(records: Records): Promise<LocalDataset> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  await mkdir(path.join(dataDir, 'datasets'));
  const file = path.join(dataDir, 'datasets', 'local.safetensors');
  const normalisation = await writeDecoded(file, records, new AbortController().signal);
  // The copy is there, so no object store is asked for it.
  const data = await openDataset({ objects: undefined as unknown as ObjectStore, dataDir }, { sha256: 'local' });
  const close = async () => {
    data.close();
    await rm(dataDir, { recursive: true, force: true });
  };
  return { data, normalisation, classNames: records.classNames, close };
}

/** Debian's package dataset-fashion-mnist: 60,000 and 10,000 images of 28x28. */
export async function fashionMnist(): Promise<Records> {
  const { files, classNames } = await findDatasetFolder();
  const unpacked = Object.entries(IDX_FILES).map(async ([role, name]) => [role, await unpack(files, name)]);
  const sources = await Promise.all(unpacked);
  const records = await openIdx(Object.fromEntries(sources) as IdxFiles, classNames, (problem) => {
    throw new Error(problem);
  });
  return records!;
}

async function unpack(files: ReadonlyMap<string, string>, name: string): Promise<ByteSource> {
  const plain = files.get(name);
  const bytes = plain === undefined ? gunzipSync(await readFile(files.get(`${name}.gz`)!)) : await readFile(plain);
  return { name, bytes: bytes.length, read: async (start, end) => bytes.subarray(start, end) };
}

/** Noise, of that shape, evenly over the classes. */
export function randomRecords(shape: ImageShape, numClasses: number, train: number, test: number): Records {
  const classNames = Array.from({ length: numClasses }, (_, label) => String(label));
  const split = (size: number) => randomSplit(shape, numClasses, size);
  return { shape, classNames, train: split(train), test: split(test) };
}

function randomSplit({ height, width, channels }: ImageShape, numClasses: number, size: number): RecordSplit {
  const image = height * width * channels;
  return {
    labels: Int32Array.from({ length: size }, (_, index) => index % numClasses),
    images: async function* () {
      for (let index = 0; index < size; index++) yield randomBytes(image);
    },
  };
}
