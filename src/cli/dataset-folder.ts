import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { notFound } from '../errors.js';

const DEBIAN_FOLDER = '/usr/share/datasets/fashion-mnist';
const TEST_LABELS = 't10k-labels-idx1-ubyte';
const FILES = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', TEST_LABELS];

/** Of the test labels of Fashion-MNIST, unpacked: how its names are known to belong to a folder. */
const FASHION_TEST_LABELS = '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34';
const FASHION_CLASSES = [
  'T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot',
];

/** A folder with the four files of MNIST's format. */
export interface DatasetFolder {
  /** The same for the same files: `fashion-mnist`, or `demo-` and the beginning of their hash. */
  readonly name: string;
  readonly classNames: readonly string[] | null;
  /** By the name that it is uploaded under. */
  readonly files: ReadonlyMap<string, Buffer>;
}

/**
 * @param folder Debian's package dataset-fashion-mnist if none is given
 * @throws ResidualError NOT_FOUND
 */
export async function readDatasetFolder(folder = DEBIAN_FOLDER): Promise<DatasetFolder> {
  const names = FILES.map((file) => [`${file}.gz`, file].find((name) => existsSync(path.join(folder, name))));
  const missing = FILES.filter((_, i) => names[i] === undefined);
  if (missing.length > 0) throw notFound(`${folder} has no ${missing.join(', no ')} (with or without .gz)`);
  const files = new Map<string, Buffer>();
  for (const name of names as string[]) files.set(name, await readFile(path.join(folder, name)));
  const isFashion = hashOf([unpacked(files, TEST_LABELS)]) === FASHION_TEST_LABELS;
  return {
    name: isFashion ? 'fashion-mnist' : `demo-${hashOf([...files.values()]).slice(0, 8)}`,
    classNames: isFashion ? FASHION_CLASSES : null,
    files,
  };
}

function unpacked(files: ReadonlyMap<string, Buffer>, name: string): Buffer {
  const packed = files.get(`${name}.gz`);
  return packed === undefined ? (files.get(name) as Buffer) : gunzipSync(packed);
}

function hashOf(parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
