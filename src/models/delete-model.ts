import { conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';

const ACTIVE = ['QUEUED', 'RUNNING', 'PAUSED'] as const;

/**
 * Deletes a model with its runs and versions; what their artifacts were stays in the object store, where other
 * versions may share it.
 * @throws NOT_FOUND, or CONFLICT while a run of it is active
 */
export async function deleteModel({ database }: { database: Database }, name: string): Promise<boolean> {
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
    await transaction.model.delete({ where: { id: model.id } });
    return true;
  });
}
