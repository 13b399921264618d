import type { Evaluation } from '../domain/evaluation.js';
import { OWNER_DEAD_AFTER_MS, statesBefore, type RunStatus } from '../domain/run-state.js';
import type { Database, Transaction } from '../infra/database.js';
import type { Prisma } from '../infra/prisma/client.js';
import { RunLostError, type Ownership } from './own-run.js';

/**
 * How a run leaves the worker's hands or the queue. Each is compare-and-set on (status, attempt): of a worker that
 * finishes, another that takes the run up and a user who cancels it, one wins and the others are refused.
 */

/** Part of the transaction that publishes the version. @throws RunLostError, which takes that back. */
export async function finishRun(transaction: Transaction, owner: Ownership, evaluation: Evaluation): Promise<void> {
  const { totalSteps } = await transaction.trainingRun.findUniqueOrThrow({ where: { id: owner.runId } });
  const finished = await move(transaction, owned(owner), 'SUCCEEDED', {
    evaluation: evaluation as unknown as Prisma.InputJsonObject,
    step: totalSteps,
  });
  if (!finished) throw new RunLostError(owner);
}

/** `failure` says why, to the one who started it. */
export function failRun({ database }: Deps, owner: Ownership, failure: string): Promise<boolean> {
  return move(database, owned(owner), 'FAILED', { failure });
}

/** By the worker that was asked to, once it has stopped. */
export function cancelOwnedRun({ database }: Deps, owner: Ownership): Promise<boolean> {
  return move(database, owned(owner), 'CANCELLED');
}

/** Where no worker has it, or a dead one does. */
export function cancelIdleRun({ database }: Deps, runId: string): Promise<boolean> {
  const deadSince = new Date(Date.now() - OWNER_DEAD_AFTER_MS);
  const idle: Prisma.TrainingRunWhereInput[] = [
    { status: { in: ['QUEUED', 'PAUSED'] } },
    { status: 'RUNNING', heartbeatAt: { lt: deadSince } },
  ];
  return move(database, { id: runId, OR: idle }, 'CANCELLED');
}

/** Back into the queue, by a worker that is shut down or cannot go on; the attempt does not count as fruitless. */
export async function handBackRun({ database }: Deps, owner: Ownership): Promise<boolean> {
  if (await move(database, { ...owned(owner), requestedState: 'CANCEL' }, 'CANCELLED')) return true;
  return move(database, owned(owner), 'QUEUED', { workerId: null, fruitless: { decrement: 1 } });
}

interface Deps {
  readonly database: Database | Transaction;
}

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
    data: { ...data, status, etaSeconds: null, ...(status !== 'QUEUED' && { finishedAt: new Date() }) },
  });
  return count === 1;
}
