import { conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { dropObjects, removeDroppedObjects } from '../infra/dropped-objects.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Dataset } from '../infra/prisma/client.js';
import { uploadPrefix } from './upload-files.js';

/**
 * Deletes a version of a data set with its objects. Where the object store is away, those go later.
 * @throws NOT_FOUND, or CONFLICT where a run was trained on it, since the run's record names it
 */
export async function deleteDataset(
  deps: { database: Database; objects: ObjectStore },
  name: string,
  version: number,
): Promise<true> {
  const { id, sha256 } = await deleteRow(deps.database, name, version);
  await deps.objects.removeUploads(uploadPrefix(id)).catch(() => undefined);
  if (sha256 !== null) await removeDroppedObjects(deps, [sha256]).catch(() => undefined);
  return true;
}

async function deleteRow(database: Database, name: string, version: number): Promise<Dataset> {
  return database.$transaction(async (transaction) => {
    // The lock makes a run that is inserted at this moment wait for its foreign key, and then fail on it.
    const [row] = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM "Dataset" WHERE name = ${name} AND version = ${version} FOR UPDATE`;
    if (!row) throw notFound(`there is no data set ${name}@${version}`, 'name');
    const run = await transaction.trainingRun.findFirst({ where: { datasetId: row.id }, select: { number: true } });
    if (run) throw conflict(`run ${run.number} was trained on ${name}@${version}`, 'name');
    const dataset = await transaction.dataset.delete({ where: { id: row.id } });
    await dropObjects(transaction, dataset.sha256 === null ? [] : [dataset.sha256]);
    return dataset;
  });
}
