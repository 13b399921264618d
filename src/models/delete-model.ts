import { conflict, notFound } from '../errors.js';
import type { Database, Transaction } from '../infra/database.js';
import { dropObjects, removeDroppedObjects } from '../infra/dropped-objects.js';
import type { ObjectStore } from '../infra/objects.js';

const ACTIVE = ['QUEUED', 'RUNNING', 'PAUSED'] as const;

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

/**
 * Deletes a model with its runs and versions, and of their artifacts and checkpoints what no other row names. Where the
 * object store is away, those objects go later.
 * @throws NOT_FOUND, or CONFLICT while a run of it is active
 */
export async function deleteModel(deps: Deps, name: string): Promise<boolean> {
  const dropped = await deleteRows(deps, name);
  await removeDroppedObjects(deps, dropped).catch(() => undefined);
  return true;
}

/** @returns the SHA-256 of each object that they named */
async function deleteRows({ database }: Deps, name: string): Promise<string[]> {
  return database.$transaction(async (transaction) => {
    // The lock makes a run that is inserted at this moment wait for its foreign key, and then fail on it.
    const [model] = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM "Model" WHERE name = ${name} FOR UPDATE`;
    if (model === undefined) throw notFound(`there is no model named ${name}`, 'name');
    const active = await transaction.trainingRun.findFirst({
      where: { modelId: model.id, status: { in: [...ACTIVE] } },
      select: { number: true },
    });
    if (active !== null) throw conflict(`run ${active.number} of ${name} is active: cancel it first`, 'name');
    const dropped = await objectsOf(transaction, model.id);
    await transaction.model.delete({ where: { id: model.id } });
    await dropObjects(transaction, dropped);
    return dropped;
  });
}

async function objectsOf(transaction: Transaction, modelId: string): Promise<string[]> {
  const artifacts = await transaction.artifact.findMany({ where: { version: { modelId } }, select: { sha256: true } });
  const checkpoints = await transaction.checkpoint.findMany({ where: { run: { modelId } }, select: { sha256: true } });
  return [...new Set([...artifacts, ...checkpoints].map(({ sha256 }) => sha256))];
}
