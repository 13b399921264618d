import type { Evaluation } from '../domain/evaluation.js';
import { isFinished, statesBefore, type RunStatus } from '../domain/run-state.js';
import type { Database, Transaction } from '../infra/database.js';
import type { Prisma } from '../infra/prisma/client.js';
import { ownersDeadSince, RunLostError, type Ownership } from './own-run.js';

/**
 * How a run leaves the worker's hands or the queue. Each is compare-and-set on (status, attempt): of a worker that
 * finishes, another that takes the run up and a user who cancels it, one wins and the others are refused.
 */

/** Part of the transaction that publishes the version. @throws RunLostError, which takes that back. */
export async function finishRun(transaction: Transaction, owner: Ownership, evaluation: Evaluation): Promise<void> {
  const data = { evaluation: evaluation as unknown as Prisma.InputJsonObject };
  if (!(await move(transaction, owned(owner), 'SUCCEEDED', data))) throw new RunLostError(owner);
}

/** `failure` says why, to the one who started it. */
export function failRun({ database }: Deps, owner: Ownership, failure: string): Promise<boolean> {
  return move(database, owned(owner), 'FAILED', { failure });
}

/** By the worker that was asked to. */
export function cancelOwnedRun({ database }: Deps, owner: Ownership): Promise<boolean> {
  return move(database, owned(owner), 'CANCELLED');
}

/** Where no worker has it, or a dead one does. */
export async function cancelIdleRun({ database }: Deps, runId: string): Promise<boolean> {
  return move(database, { AND: await idle(database, runId), requestedState: 'CANCEL' }, 'CANCELLED');
}

/** Where no worker has it, or a dead one does: it goes on from its last checkpoint one day. */
export async function pauseIdleRun({ database }: Deps, runId: string): Promise<boolean> {
  return move(database, { AND: await idle(database, runId), requestedState: 'PAUSE' }, 'PAUSED', { workerId: null });
}

/**
 * Out of the hands of a worker that was asked to pause, is shut down or cannot go on: PAUSED where that was asked for,
 * else back into the queue, at the place it had. The attempt does not count as fruitless.
 * @returns what became of it; nothing where the worker had lost it
 */
export async function handBackRun({ database }: Deps, owner: Ownership): Promise<RunStatus | undefined> {
  const released = { workerId: null, fruitless: { decrement: 1 } };
  if (await move(database, { ...owned(owner), requestedState: 'PAUSE' }, 'PAUSED', released)) return 'PAUSED';
  return (await move(database, owned(owner), 'QUEUED', released)) ? 'QUEUED' : undefined;
}

/**
 * By its worker, behind the checkpoint of the epoch after which the run was to pause; where that was changed meanwhile,
 * the run is handed back.
 * @returns what became of it; nothing where the worker had lost it
 */
export async function pauseOwnedRun(
  deps: Deps,
  owner: Ownership,
  pauseAfterEpoch: number,
): Promise<RunStatus | undefined> {
  const reached: Prisma.TrainingRunWhereInput = {
    ...owned(owner),
    pauseAfterEpoch: { lte: pauseAfterEpoch },
  };
  const released = { workerId: null, fruitless: { decrement: 1 } };
  return (await move(deps.database, reached, 'PAUSED', released)) ? 'PAUSED' : handBackRun(deps, owner);
}

interface Deps {
  readonly database: Database | Transaction;
}

/** Waits, rests, or has a dead worker. */
const idle = async (database: Deps['database'], id: string): Promise<Prisma.TrainingRunWhereInput> => ({
  id,
  OR: [
    { status: { in: ['QUEUED', 'PAUSED'] } },
    { status: 'RUNNING', heartbeatAt: { lt: await ownersDeadSince(database) } },
  ],
});

const owned = ({ runId, attempt }: Ownership): Prisma.TrainingRunWhereInput => ({
  id: runId,
  attempt,
  status: 'RUNNING',
});

async function move(
  database: Database | Transaction,
  where: Prisma.TrainingRunWhereInput,
  status: RunStatus,
  data: Prisma.TrainingRunUpdateManyMutationInput = {},
): Promise<boolean> {
  const { count } = await database.trainingRun.updateMany({
    where: { AND: [where, { status: { in: statesBefore(status) } }] },
    data: { ...data, status, etaSeconds: null, ...(isFinished(status) && { finishedAt: new Date() }) },
  });
  return count === 1;
}
