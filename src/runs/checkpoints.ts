import type { Database, Transaction } from '../infra/database.js';
import { dropObjects, ObjectRemovedError, removeDroppedObjects, takeBackNotes } from '../infra/dropped-objects.js';
import type { ObjectStore, StoredObject } from '../infra/objects.js';
import type { Checkpoint } from '../infra/prisma/client.js';
import type { RunRecorder } from './record-progress.js';

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

/**
 * Records a checkpoint whose object is noted and stored already, by this attempt and nobody else, and drops all but the
 * newest `keepCheckpoints` of the run. The newest stays in any case, since the run goes on from it; with it alone, one
 * that turns out unreadable means to start over, with two the one before serves.
 * @param epoch complete epochs
 * @throws RunLostError, ObjectRemovedError
 */
export async function recordCheckpoint(
  deps: Deps,
  recorder: RunRecorder,
  runId: string,
  { step, epoch, sha256, bytes }: StoredObject & { readonly step: number; readonly epoch: number },
): Promise<void> {
  const row = { epoch, sha256, bytes, createdAt: new Date() };
  const dropped = await recorder.write(async (transaction) => {
    const recorded = await transaction.checkpoint.findMany({ where: { runId, step } });
    const replaced = recorded.filter((given) => given.sha256 !== sha256);
    // Where the answer to the first writing was lost, the row is there and the note is not.
    if (!(await takeBackNotes(transaction, [sha256])) && recorded.length === replaced.length)
      throw new ObjectRemovedError(sha256);
    await transaction.checkpoint.upsert({
      where: { runId_step: { runId, step } },
      create: { runId, step, ...row },
      update: row,
    });
    const { keepCheckpoints } = await transaction.trainingRun.update({
      where: { id: runId },
      data: { fruitless: 0 },
      select: { keepCheckpoints: true },
    });
    const old = await transaction.checkpoint.findMany({
      where: { runId },
      orderBy: { step: 'desc' },
      skip: Math.max(keepCheckpoints, 1),
    });
    await transaction.checkpoint.deleteMany({ where: { runId, step: { in: old.map((given) => given.step) } } });
    const gone = [...replaced, ...old].map((given) => given.sha256);
    await dropObjects(transaction, gone);
    return gone;
  });
  // A store that is away keeps them until somebody looks for what was dropped.
  if (dropped.length > 0) await removeDroppedObjects(deps, dropped).catch(() => undefined);
}

/** The newest first. */
export function readCheckpoints({ database }: Pick<Deps, 'database'>, runId: string): Promise<Checkpoint[]> {
  return database.checkpoint.findMany({ where: { runId }, orderBy: { step: 'desc' } });
}

/**
 * Takes back what was recorded after the point that the run goes on from: those steps are taken once more.
 * @param epoch complete epochs
 * @throws RunLostError
 */
export async function rewindRun(
  recorder: RunRecorder,
  runId: string,
  { step, epoch }: { step: number; epoch: number },
): Promise<void> {
  await recorder.write(async (transaction) => {
    await transaction.stepMetric.deleteMany({ where: { runId, step: { gt: step } } });
    await transaction.epochMetric.deleteMany({ where: { runId, epoch: { gt: epoch } } });
    await dropCheckpoints(transaction, await transaction.checkpoint.findMany({ where: { runId, step: { gt: step } } }));
    await transaction.trainingRun.update({ where: { id: runId }, data: { step, epoch } });
  });
  recorder.begin(step);
}

/**
 * The last one of runs that are over and keep none. Of the others there are as many as they keep already. Removes also
 * what was dropped and could not be removed then.
 */
export async function removeFinishedCheckpoints(deps: Deps): Promise<void> {
  const finished = await deps.database.checkpoint.findMany({
    where: { run: { status: { in: ['SUCCEEDED', 'FAILED', 'CANCELLED'] }, keepCheckpoints: 0 } },
    take: 200,
  });
  await deps.database.$transaction((transaction) => dropCheckpoints(transaction, finished));
  await removeDroppedObjects(deps);
}

async function dropCheckpoints(transaction: Transaction, checkpoints: readonly Checkpoint[]): Promise<void> {
  for (const { runId, step } of checkpoints) await transaction.checkpoint.deleteMany({ where: { runId, step } });
  await dropObjects(
    transaction,
    checkpoints.map(({ sha256 }) => sha256),
  );
}
