import { conflict, notFound } from '../errors.js';
import type { Database, Transaction } from '../infra/database.js';
import { dropObjects, removeDroppedObjects } from '../infra/dropped-objects.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Artifact } from '../infra/prisma/client.js';
import { requireModel } from '../models/find-model.js';

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

const ACTIVE = ['QUEUED', 'RUNNING', 'PAUSED'] as const;

/**
 * Deletes a version, and of its artifacts what no other row names; its number is not given again and its run stays.
 * Where the object store is away, the objects go later.
 * @throws NOT_FOUND on `model` or `version`; CONFLICT while an alias points at it, or a run that has not ended starts
 *   from it
 */
export async function deleteVersion(deps: Deps, modelName: string, version: number): Promise<true> {
  const { id: modelId } = await requireModel(deps, modelName);
  const dropped = await deleteRow(deps.database, { modelId, version, reference: `${modelName}:${version}` });
  await removeDroppedObjects(deps, dropped).catch(() => undefined);
  return true;
}

interface Target {
  readonly modelId: string;
  readonly version: number;
  readonly reference: string;
}

/** @returns the SHA-256 of each object that it named */
async function deleteRow(database: Database, { modelId, version, reference }: Target): Promise<string[]> {
  return database.$transaction(async (transaction) => {
    // Who points an alias at it or starts a run from it holds this row: they are seen below, or find it gone.
    const [row] = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM "ModelVersion" WHERE "modelId" = ${modelId} AND version = ${version} FOR UPDATE`;
    if (row === undefined) throw notFound(`there is no version ${reference}`, 'version');
    const artifacts = await transaction.artifact.findMany({ where: { versionId: row.id } });
    await refuseWhereUsed(transaction, row.id, reference, artifacts);
    await transaction.modelVersion.delete({ where: { id: row.id } });
    const dropped = artifacts.map(({ sha256 }) => sha256);
    await dropObjects(transaction, dropped);
    return dropped;
  });
}

async function refuseWhereUsed(
  transaction: Transaction,
  versionId: string,
  reference: string,
  artifacts: readonly Artifact[],
): Promise<void> {
  const alias = await transaction.modelAlias.findFirst({ where: { versionId }, orderBy: { name: 'asc' } });
  if (alias !== null)
    throw conflict(`the alias ${alias.name} points at ${reference}: move or remove it first`, 'version');
  const run = await transaction.trainingRun.findFirst({
    where: {
      status: { in: [...ACTIVE] },
      AND: { plan: { path: ['initialWeights', 'reference'], equals: reference } },
      // A model of the same name may have been deleted before.
      OR: artifacts.map(({ sha256 }) => ({ plan: { path: ['initialWeights', 'sha256'], equals: sha256 } })),
    },
    select: { number: true },
  });
  if (run !== null)
    throw conflict(`run ${run.number} starts from ${reference} and has not ended: cancel it first`, 'version');
}
