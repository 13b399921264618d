import { CIFAR10, CIFAR100, type CifarLayout } from '../formats/cifar.js';
import { IDX_FILES } from '../formats/idx.js';
import type { DatasetFormat } from '../infra/prisma/client.js';

/** A set of files that makes a data set: each file with the names that it may have. */
type FileSet = readonly (readonly string[])[];

const cifarFiles = ({ train, test }: CifarLayout): FileSet => [...train, ...test].map((file) => [file]);

/** The sets of a format are alternatives; the first that is whole is used. */
const FILE_SETS: Record<DatasetFormat, readonly FileSet[]> = {
  IDX: [Object.values(IDX_FILES).map((file) => [file, `${file}.gz`])],
  CIFAR10_BINARY: [[['cifar-10-binary.tar.gz']], cifarFiles(CIFAR10)],
  CIFAR100_BINARY: [[['cifar-100-binary.tar.gz']], cifarFiles(CIFAR100)],
  IMAGE_FOLDER: [[['images.zip']], [['images.tar']], [['images.tar.gz']]],
};

/** Every name that an upload of this format may have. */
export const acceptedFiles = (format: DatasetFormat): string[] => FILE_SETS[format].flat(2);

/** The files that make the data set, or null where none of the sets is whole. */
export function chooseFiles(format: DatasetFormat, uploaded: ReadonlySet<string>): string[] | null {
  for (const files of FILE_SETS[format]) {
    const chosen = files.flatMap((names) => names.find((name) => uploaded.has(name)) ?? []);
    if (chosen.length === files.length) return chosen;
  }
  return null;
}

/** In words: what is still to be uploaded. Of several sets those that were begun count, if any were. */
export function missingFiles(format: DatasetFormat, uploaded: ReadonlySet<string>): string {
  const sets = FILE_SETS[format];
  const begun = sets.filter((files) => files.flat().some((name) => uploaded.has(name)));
  const missing = (files: FileSet) =>
    files.filter((names) => !names.some((name) => uploaded.has(name))).map((names) => names.join(' or '));
  return (begun.length > 0 ? begun : sets).map((files) => missing(files).join(', ')).join('; or instead ');
}

export const uploadKey = (datasetId: string, file: string) => `${datasetId}/${file}`;
/** Of all uploads of a data set. */
export const uploadPrefix = (datasetId: string) => `${datasetId}/`;
