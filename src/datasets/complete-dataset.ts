import { badInput, conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Dataset } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { acceptedFiles, chooseFiles, missingFiles, uploadKey } from './upload-files.js';

/**
 * Hands what was uploaded over to validation.
 * @throws NOT_FOUND, CONFLICT where that has happened already, BAD_USER_INPUT naming the files that are missing
 */
export async function completeDataset(
  { database, objects, queue }: { database: Database; objects: ObjectStore; queue: Pick<JobQueue, 'enqueue'> },
  id: string,
): Promise<Dataset> {
  const dataset = await database.dataset.findUnique({ where: { id } });
  if (!dataset) throw notFound(`there is no data set with the id ${id}`, 'id');
  refuseCompleted(dataset);
  const uploaded = await uploadedFiles(objects, dataset);
  if (!chooseFiles(dataset.format, uploaded))
    throw badInput('id', `not uploaded: ${missingFiles(dataset.format, uploaded)}`);

  const [completed] = await database.dataset.updateManyAndReturn({
    where: { id, status: 'AWAITING_UPLOAD' },
    data: { status: 'VALIDATING' },
  });
  if (!completed) throw conflict(`${dataset.name}@${dataset.version} was completed a moment ago`, 'id');
  try {
    await queue.enqueue('validate-dataset', { v: 1, datasetId: id });
  } catch (error) {
    // The caller is told that nothing was changed.
    await database.dataset.updateMany({ where: { id, status: 'VALIDATING' }, data: { status: 'AWAITING_UPLOAD' } });
    throw error;
  }
  return completed;
}

function refuseCompleted({ name, version, status }: Dataset): void {
  if (status !== 'AWAITING_UPLOAD') throw conflict(`${name}@${version} is ${status} already`, 'id');
}

/** Which of the files that the format knows are in the store. */
export async function uploadedFiles(objects: ObjectStore, { id, format }: Dataset): Promise<Set<string>> {
  const found = await Promise.all(
    acceptedFiles(format).map(async (file) => ((await objects.statUpload(uploadKey(id, file))) ? file : [])),
  );
  return new Set(found.flat());
}
