import type { Transaction } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { JobQueue } from '../infra/queue.js';
import { announceRun } from './watch-runs.js';
import { runRow, type PreparedRun } from './start-run.js';

/**
 * Runs as trials of a sweep. All of it is part of the sweep's transaction, and each change is compare-and-set: of two
 * processes that decide over a trial, one wins and the other finds nothing to change.
 */
export interface Queued {
  readonly id: string;
  readonly priority: number;
}

/** Numbered from 1 in their order, each with the first line of its log. */
export async function recordTrials(
  transaction: Transaction,
  parent: { readonly sweepId: string; readonly pauseAfterEpoch: number | null },
  trials: readonly { readonly run: PreparedRun; readonly line: string }[],
): Promise<Queued[]> {
  const runs = await transaction.trainingRun.createManyAndReturn({
    data: trials.map(({ run }, index) => ({ ...runRow(run), ...parent, trial: index + 1 })),
    select: { id: true, priority: true, trial: true },
  });
  await transaction.logLine.createMany({
    data: runs.map(({ id, trial }) => ({ runId: id, level: 'info', message: trials[trial! - 1]!.line })),
  });
  return runs;
}

/** Trains on from where it paused. @returns false where it is not paused there any more, or a user paused it */
export async function promoteTrial(
  transaction: Transaction,
  { id, pausedAfterEpoch }: { readonly id: string; readonly pausedAfterEpoch: number },
  next: { readonly pauseAfterEpoch: number | null; readonly priority: number },
  line: string,
): Promise<boolean> {
  const { count } = await transaction.trainingRun.updateMany({
    where: { id, status: 'PAUSED', pauseAfterEpoch: pausedAfterEpoch, requestedState: 'RUN' },
    data: { ...next, status: 'QUEUED', queuedAt: new Date(), fruitless: 0 },
  });
  if (count === 1) await tell(transaction, id, line);
  return count === 1;
}

/** Ends where it is. @returns false where it is not paused there any more */
export async function dropTrial(
  transaction: Transaction,
  { id, pausedAfterEpoch }: { readonly id: string; readonly pausedAfterEpoch: number },
  line: string,
): Promise<boolean> {
  const { count } = await transaction.trainingRun.updateMany({
    where: { id, status: 'PAUSED', pauseAfterEpoch: pausedAfterEpoch },
    data: { status: 'CANCELLED', finishedAt: new Date(), etaSeconds: null },
  });
  if (count === 1) await tell(transaction, id, line);
  return count === 1;
}

/** Once the rows are there. What cannot be queued now, `recoverRuns` queues later. */
export async function queueRuns(
  { queue, events }: { readonly queue: JobQueue; readonly events: EventBus },
  runs: readonly Queued[],
): Promise<void> {
  let away = false;
  for (const { id, priority } of runs) {
    if (!away) await queue.enqueue('train', { v: 1, runId: id }, { priority }).catch(() => (away = true));
    if (!away) await announceRun(events, id);
  }
}

async function tell(transaction: Transaction, runId: string, message: string): Promise<void> {
  await transaction.logLine.create({ data: { runId, level: 'info', message } });
}
