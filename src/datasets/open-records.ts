import { ArchiveError, readArchive } from '../formats/archive.js';
import { CIFAR10, CIFAR100, openCifar, type CifarLayout } from '../formats/cifar.js';
import { IDX_FILES, openIdx, type IdxFiles } from '../formats/idx.js';
import { slice, type ByteSource, type Records } from '../formats/records.js';
import { assertExhaustive } from '../errors.js';
import type { DatasetFormat } from '../infra/prisma/client.js';
import { decodeImageFolder, type DecodeOptions } from './decode-image-folder.js';

/**
 * Uploaded files, unpacked, as records.
 * @param files by the names that they were uploaded under
 * @returns null where the problems leave nothing to read
 */
export async function openRecords(
  format: DatasetFormat,
  files: ReadonlyMap<string, ByteSource>,
  options: DecodeOptions,
): Promise<Records | null> {
  switch (format) {
    case 'IDX':
      return openIdx(idxFiles(files), options.classNames, options.report);
    case 'CIFAR10_BINARY':
      return openCifarFiles(CIFAR10, files, options);
    case 'CIFAR100_BINARY':
      return openCifarFiles(CIFAR100, files, options);
    case 'IMAGE_FOLDER':
      return decodeImageFolder([...files.values()][0]!, options);
    default:
      return assertExhaustive(format);
  }
}

function idxFiles(files: ReadonlyMap<string, ByteSource>): IdxFiles {
  const find = (name: string) => (files.get(name) ?? files.get(`${name}.gz`))!;
  return Object.fromEntries(Object.entries(IDX_FILES).map(([role, name]) => [role, find(name)])) as unknown as IdxFiles;
}

async function openCifarFiles(layout: CifarLayout, files: ReadonlyMap<string, ByteSource>, options: DecodeOptions) {
  const archive = [...files].find(([name]) => name.endsWith('.tar.gz'))?.[1];
  const members = archive ? await membersOf(archive, options) : files;
  return members && openCifar(layout, members, options.classNames, options.report);
}

/** The files of an archive that lie in it as they are, by name without folders. */
async function membersOf(
  archive: ByteSource,
  { maxBytes, report }: DecodeOptions,
): Promise<Map<string, ByteSource> | null> {
  const members = new Map<string, ByteSource>();
  try {
    for await (const { path, offset, bytes, isFolder } of readArchive(archive, { maxBytes }, report)) {
      if (isFolder || offset === null) continue;
      members.set(path.slice(path.lastIndexOf('/') + 1), slice(archive, `${archive.name}: ${path}`, offset, bytes));
    }
  } catch (error) {
    if (!(error instanceof ArchiveError)) throw error;
    report(error.message);
    return null;
  }
  return members;
}
