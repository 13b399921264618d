import { isFinished } from '../domain/run-state.js';
import { conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { Prisma, TrainingRun } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { cancelIdleRun, pauseIdleRun } from './finish-run.js';
import { findRun } from './read-runs.js';
import { announceRun } from './watch-runs.js';

/**
 * What a user asks of a run. Of a running one it is *asked*: its worker reads that with its next heartbeat. Nothing
 * here waits for that.
 */

interface Deps {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly events: EventBus;
}

/**
 * A waiting or paused run is cancelled at once.
 * @throws NOT_FOUND; CONFLICT where the run is over.
 */
export async function cancelRun(deps: Deps, id: string): Promise<TrainingRun> {
  const asked = await ask(deps, { id, status: { in: ['QUEUED', 'RUNNING', 'PAUSED'] } }, 'CANCEL', cancelIdleRun);
  const run = await changedRun(deps, id);
  if (!asked && isFinished(run.status)) throw conflict(`the run is ${run.status} already`, 'id');
  return run;
}

/**
 * A waiting run pauses at once; a running one saves a checkpoint first. Asking twice is asking once.
 * @throws NOT_FOUND; CONFLICT where the run rests already, is over or is being cancelled.
 */
export async function pauseRun(deps: Deps, id: string): Promise<TrainingRun> {
  const asked = await ask(
    deps,
    { id, status: { in: ['QUEUED', 'RUNNING'] }, requestedState: { not: 'CANCEL' } },
    'PAUSE',
    pauseIdleRun,
  );
  const run = await changedRun(deps, id);
  if (!asked) throw conflict(`the run is ${inWords(run)}: only a waiting or running one can pause`, 'id');
  return run;
}

/**
 * Puts a paused run back into the queue, behind those of its priority that wait already; a trial at its rung is left to
 * its sweep. A pause that was asked for and has not come yet is taken back.
 * @throws NOT_FOUND; CONFLICT where the run does not rest, and where it would pause again at once.
 */
export async function resumeRun(deps: Deps, id: string): Promise<TrainingRun> {
  const { database, queue } = deps;
  if (await leaveToSweep(deps, id)) return changedRun(deps, id);
  // A pause that comes between its two looks is found by the next.
  const asked = (await askToRun(database, id)) || (await askToRun(database, id));
  const run = await changedRun(deps, id);
  if (!asked) throw conflict(`the run is ${inWords(run)}, not PAUSED`, 'id');
  // Where the queue is away, or the job of the attempt that paused has not ended yet, `recoverRuns` sees to it.
  if (run.status === 'QUEUED')
    await queue.enqueue('train', { v: 1, runId: id }, { priority: run.priority }).catch(() => undefined);
  return run;
}

/**
 * What is asked and what is done about a run that rests is one transaction, or an API that ends between the two would
 * leave one which rests and is being cancelled for good.
 * @param ifIdle does what is asked where no living worker has the run
 * @returns whether the run was in a state to be asked
 */
async function ask(
  deps: Deps,
  where: Prisma.TrainingRunWhereInput & { readonly id: string },
  requestedState: 'PAUSE' | 'CANCEL',
  ifIdle: typeof cancelIdleRun,
): Promise<boolean> {
  const { asked, done } = await deps.database.$transaction(async (database) => {
    const { count } = await database.trainingRun.updateMany({ where, data: { requestedState } });
    return { asked: count === 1, done: count === 1 && (await ifIdle({ database }, where.id)) };
  });
  if (done) await removeJob(deps, where.id);
  return asked;
}

/** Whether it rested, or had yet to do so. */
async function askToRun(database: Deps['database'], id: string): Promise<boolean> {
  const resumed = await database.trainingRun.updateMany({
    where: { id, status: 'PAUSED', requestedState: { not: 'CANCEL' } },
    data: { requestedState: 'RUN', status: 'QUEUED', queuedAt: new Date(), fruitless: 0 },
  });
  if (resumed.count > 0) return true;
  const takenBack = await database.trainingRun.updateMany({
    where: { id, status: { in: ['QUEUED', 'RUNNING'] }, requestedState: 'PAUSE' },
    data: { requestedState: 'RUN' },
  });
  return takenBack.count > 0;
}

/**
 * A trial that has come to its rung waits for its sweep, which says how far it goes on, once no user has paused it.
 * @returns whether it is such a one
 * @throws CONFLICT where no user had
 */
async function leaveToSweep({ database }: Deps, id: string): Promise<boolean> {
  const run = await database.trainingRun.findFirst({ where: { id, status: 'PAUSED', pauseAfterEpoch: { not: null } } });
  if (!run || (await database.epochMetric.count({ where: { runId: id } })) < run.pauseAfterEpoch!) return false;
  const resumed = await database.trainingRun.updateMany({
    where: { id, status: 'PAUSED', requestedState: 'PAUSE' },
    data: { requestedState: 'RUN' },
  });
  if (resumed.count > 0) return true;
  throw conflict(`the run is PAUSED after epoch ${run.pauseAfterEpoch}, where its sweep holds it`, 'id');
}

const inWords = ({ status, requestedState }: TrainingRun) =>
  !isFinished(status) && requestedState === 'CANCEL' ? 'being cancelled' : status;

/** A job whose run does not wait does nothing, so one that stays behind is no harm. */
async function removeJob({ queue }: Deps, runId: string): Promise<void> {
  await queue.remove('train', { v: 1, runId }).catch(() => undefined);
}

/** @throws NOT_FOUND */
async function changedRun(deps: Deps, id: string): Promise<TrainingRun> {
  await announceRun(deps.events, id);
  const run = await findRun(deps, id);
  if (!run) throw notFound(`there is no run ${id}`, 'id');
  return run;
}
