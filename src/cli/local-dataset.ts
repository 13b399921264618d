import { createReadStream, createWriteStream, rmSync, type Dirent } from 'node:fs';
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { pack } from 'tar-stream';
import { fashionClasses } from './dataset-folder.js';
import type { LocalDataset } from './operations/datasets.js';
import { UsageError } from './usage-error.js';

/** What is uploaded of a path, and what it is known as. */
export interface FoundDataset extends LocalDataset {
  /** Null where the format or the user says. */
  readonly classNames: readonly string[] | null;
  /** Removes what was made for the upload. */
  release(): Promise<void>;
}

export const DATASET_FORMATS = ['IDX', 'CIFAR10_BINARY', 'CIFAR100_BINARY', 'IMAGE_FOLDER'] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

/** By what file each format is known; a folder is of the first that has one. */
const SIGNS: readonly [DatasetFormat, RegExp][] = [
  ['IDX', /^(train|t10k)-(images-idx3|labels-idx1)-ubyte(\.gz)?$/],
  ['CIFAR10_BINARY', /^((data_batch_\d|test_batch)\.bin|cifar-10-binary\.tar\.gz)$/],
  ['CIFAR100_BINARY', /^((train|test)\.bin|cifar-100-binary\.tar\.gz)$/],
];
const ARCHIVES: readonly [RegExp, string][] = [
  [/\.zip$/i, 'images.zip'],
  [/\.tar$/i, 'images.tar'],
  [/\.(tar\.gz|tgz)$/i, 'images.tar.gz'],
];
const KINDS =
  'a folder of the IDX files of MNIST, of the .bin files of CIFAR-10 or CIFAR-100 or their .tar.gz, a folder or a ' +
  '.zip, .tar or .tar.gz of images as train/CLASS/FILE and test/CLASS/FILE';

/**
 * @param format what it is, where its files do not show it
 * @throws UsageError
 */
export async function findLocalDataset(place: string, format?: DatasetFormat): Promise<FoundDataset> {
  const found = await stat(place).catch(() => undefined);
  if (found === undefined) throw new UsageError(`${place} does not exist`);
  const folder = found.isDirectory() ? place : path.dirname(place);
  const names = found.isDirectory() ? await readdir(place) : [path.basename(place)];
  const [known] = SIGNS.find(([, sign]) => names.some((name) => sign.test(name))) ?? ['IMAGE_FOLDER' as const];
  const kept = { format: format ?? known, release: async () => undefined };
  if (kept.format !== 'IMAGE_FOLDER') {
    const files = new Map(names.map((name) => [name, path.join(folder, name)]));
    return { ...kept, files, classNames: kept.format === 'IDX' ? await fashionClasses(files) : null };
  }
  if (found.isDirectory()) return packImages(place);
  const [, upload] = ARCHIVES.find(([ending]) => ending.test(place)) ?? [];
  if (upload === undefined) throw new UsageError(`${place} is no data set: it would be ${KINDS}`);
  return { ...kept, files: new Map([[upload, place]]), classNames: null };
}

/** A folder of images is uploaded as one archive. */
async function packImages(folder: string): Promise<FoundDataset> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const nameOf = (entry: Dirent) => path.relative(folder, path.join(entry.parentPath, entry.name));
  const names = entries.filter((entry) => !entry.isDirectory()).map(nameOf).sort();
  if (!names.some((name) => name.split(path.sep).includes('train')))
    throw new UsageError(`${folder} is no data set: it would be ${KINDS}`);
  const room = await mkdtemp(path.join(tmpdir(), 'residual-images-'));
  const interrupt = () => {
    rmSync(room, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupt);
  const release = async () => {
    process.off('SIGINT', interrupt);
    await rm(room, { recursive: true, force: true });
  };
  try {
    const file = path.join(room, 'images.tar');
    const archive = pack();
    await Promise.all([pipeline(archive, createWriteStream(file)), fillArchive(archive, folder, names)]);
    return { format: 'IMAGE_FOLDER', files: new Map([['images.tar', file]]), classNames: null, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function fillArchive(archive: ReturnType<typeof pack>, folder: string, names: readonly string[]): Promise<void> {
  try {
    for (const name of names) {
      const file = path.join(folder, name);
      const { size } = await stat(file);
      await pipeline(createReadStream(file), archive.entry({ name: name.split(path.sep).join('/'), size }));
    }
    archive.finalize();
  } catch (error) {
    archive.destroy(error as Error);
    throw error;
  }
}
