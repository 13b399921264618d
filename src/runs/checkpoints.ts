import type { Database } from '../infra/database.js';
import type { ObjectStore, StoredObject } from '../infra/objects.js';
import type { Checkpoint } from '../infra/prisma/client.js';
import type { RunRecorder } from './record-progress.js';

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

/** The last one may turn out unreadable; then the one before serves. */
const KEPT = 2;

/**
 * Records a checkpoint whose object is stored already, and drops all but the last two of the run.
 * @param epoch complete epochs
 * @throws RunLostError
 */
export async function recordCheckpoint(
  deps: Deps,
  recorder: RunRecorder,
  runId: string,
  { step, epoch, sha256, bytes }: StoredObject & { readonly step: number; readonly epoch: number },
): Promise<void> {
  const row = { epoch, sha256, bytes, createdAt: new Date() };
  const dropped = await recorder.write(async (transaction) => {
    await transaction.checkpoint.upsert({
      where: { runId_step: { runId, step } },
      create: { runId, step, ...row },
      update: row,
    });
    await transaction.trainingRun.update({ where: { id: runId }, data: { fruitless: 0 } });
    const old = await transaction.checkpoint.findMany({ where: { runId }, orderBy: { step: 'desc' }, skip: KEPT });
    await transaction.checkpoint.deleteMany({
      where: { runId, step: { in: old.map((checkpoint) => checkpoint.step) } },
    });
    return old;
  });
  await removeObjects(deps, dropped);
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
    await transaction.checkpoint.deleteMany({ where: { runId, step: { gt: step } } });
    await transaction.trainingRun.update({ where: { id: runId }, data: { step, epoch } });
  });
  recorder.begin(step);
}

/** Of runs that are over: nothing goes on from them any more. */
export async function removeFinishedCheckpoints(deps: Deps): Promise<void> {
  const finished = await deps.database.checkpoint.findMany({
    where: { run: { status: { in: ['SUCCEEDED', 'FAILED', 'CANCELLED'] } } },
    take: 200,
  });
  for (const { runId, step, sha256 } of finished) {
    // The object first: a row without an object is found again, an object without a row never.
    await deps.objects.remove(sha256);
    await deps.database.checkpoint.deleteMany({ where: { runId, step } });
  }
}

/** A store that is away keeps them; they do no harm there. */
async function removeObjects({ objects }: Deps, checkpoints: readonly Checkpoint[]): Promise<void> {
  for (const { sha256 } of checkpoints) await objects.remove(sha256).catch(() => undefined);
}
