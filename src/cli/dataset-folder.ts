import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { notFound } from '../errors.js';
import type { LocalDataset } from './operations/datasets.js';

const DEBIAN_FOLDER = '/usr/share/datasets/fashion-mnist';
const TEST_LABELS = 't10k-labels-idx1-ubyte';
const IDX_FILES = ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', TEST_LABELS];

/** Of the test labels of Fashion-MNIST, unpacked: how its names are known to belong to a folder. */
const FASHION_TEST_LABELS = '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34';
const FASHION_CLASSES = [
  'T-shirt/top', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot',
];

/** @returns null where they are another data set's */
export async function fashionClasses(files: ReadonlyMap<string, string>): Promise<readonly string[] | null> {
  const [packed, plain] = [files.get(`${TEST_LABELS}.gz`), files.get(TEST_LABELS)];
  const file = packed ?? plain;
  if (file === undefined) return null;
  const bytes = await readFile(file);
  return hashOf([packed ? gunzipSync(bytes) : bytes]) === FASHION_TEST_LABELS ? FASHION_CLASSES : null;
}

/** A folder with the four files of MNIST's format, and a name for it. */
export interface DatasetFolder extends LocalDataset {
  /** The same for the same files: `fashion-mnist`, or `demo-` and the beginning of their hash. */
  readonly name: string;
  readonly classNames: readonly string[] | null;
}

/**
 * @param folder Debian's package dataset-fashion-mnist if none is given
 * @throws ResidualError NOT_FOUND
 */
export async function findDatasetFolder(folder = DEBIAN_FOLDER): Promise<DatasetFolder> {
  const present = new Set(await readdir(folder).catch(() => []));
  const names = IDX_FILES.map((file) => [`${file}.gz`, file].find((name) => present.has(name)));
  const missing = IDX_FILES.filter((_, i) => names[i] === undefined);
  if (missing.length > 0) throw notFound(`${folder} has no ${missing.join(', no ')} (with or without .gz)`);
  const files = new Map((names as string[]).map((name) => [name, path.join(folder, name)]));
  const classNames = await fashionClasses(files);
  const name = classNames ? 'fashion-mnist' : `demo-${(await hashOfFiles(files.values())).slice(0, 8)}`;
  return { name, format: 'IDX', files, classNames };
}

async function hashOfFiles(files: Iterable<string>): Promise<string> {
  return hashOf(await Promise.all([...files].map((file) => readFile(file))));
}

function hashOf(parts: readonly Buffer[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest('hex');
}
