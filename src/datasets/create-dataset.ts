import { checkClassNames, checkDescription, checkName } from '../domain/names.js';
import { badInput } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Dataset, DatasetFormat } from '../infra/prisma/client.js';
import { acceptedFiles, uploadKey } from './upload-files.js';

export interface CreateDatasetInput {
  readonly name: string;
  readonly format: DatasetFormat;
  readonly classNames?: readonly string[] | null;
  readonly description?: string | null;
}

/** A URL to send one file to. */
export interface UploadTarget {
  readonly file: string;
  readonly method: 'PUT';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly expiresAt: Date;
}

const FIXED_CLASSES: Partial<Record<DatasetFormat, number>> = { CIFAR10_BINARY: 10, CIFAR100_BINARY: 100 };
const UPLOAD_SECONDS = 3_600;

/**
 * A new data set, the next version of its name, and where to send its files. There is a target for each name that a
 * file may have; which of them are alternatives:
 * - IDX: the four files of MNIST, each as it is or with .gz behind its name;
 * - CIFAR10_BINARY, CIFAR100_BINARY: the official .tar.gz, or else the .bin files out of it;
 * - IMAGE_FOLDER: one of images.zip, images.tar, images.tar.gz.
 * @throws BAD_USER_INPUT
 */
export async function createDataset(
  { database, objects }: { database: Database; objects: ObjectStore },
  input: CreateDatasetInput,
): Promise<{ dataset: Dataset; uploads: UploadTarget[] }> {
  checkInput(input);
  const dataset = await insertNextVersion(database, input);
  return { dataset, uploads: await uploadTargets(objects, dataset) };
}

/** Of two requests at once one loses the version to the other, and takes the one after. */
async function insertNextVersion(database: Database, input: CreateDatasetInput): Promise<Dataset> {
  const { name, format, classNames, description } = input;
  for (;;) {
    const { _max } = await database.dataset.aggregate({ where: { name }, _max: { version: true } });
    const version = (_max.version ?? 0) + 1;
    const row = { name, version, format, classNames: [...(classNames ?? [])], description: description ?? null };
    const [dataset] = await database.dataset.createManyAndReturn({ data: [row], skipDuplicates: true });
    if (dataset) return dataset;
  }
}

async function uploadTargets(objects: ObjectStore, { id, format }: Dataset): Promise<UploadTarget[]> {
  const expiresAt = new Date(Date.now() + UPLOAD_SECONDS * 1_000);
  return Promise.all(
    acceptedFiles(format).map(async (file) => {
      const url = await objects.presignUpload(uploadKey(id, file), UPLOAD_SECONDS);
      return { file, method: 'PUT' as const, url, headers: {}, expiresAt };
    }),
  );
}

function checkInput({ name, format, classNames, description }: CreateDatasetInput): void {
  checkName(name, 'input.name');
  checkDescription(description ?? '', 'input.description');
  if (!classNames) return;
  const fixed = FIXED_CLASSES[format];
  if (fixed !== undefined && classNames.length !== fixed)
    throw badInput('input.classNames', `this format has ${fixed} classes, not ${classNames.length}`);
  checkClassNames(classNames, 'input.classNames');
}
