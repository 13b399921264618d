import { decideHalving, type Contestant, type Decision, type Verdict } from '../domain/halving.js';
import { isFinished, type RunStatus } from '../domain/run-state.js';
import { isLargerBetter } from '../domain/search.js';
import { isOutage } from '../errors.js';
import { MANY_ROWS, type Database, type Transaction } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { Sweep } from '../infra/prisma/client.js';
import { MAX_PRIORITY, type JobQueue } from '../infra/queue.js';
import { dropTrial, promoteTrial, queueRuns, type Queued } from '../runs/trials.js';
import { announceRun } from '../runs/watch-runs.js';
import { cancelTrials } from './cancel-sweep.js';
import { configOf, readTrials, type Trial } from './read-trials.js';

export interface SweepDeps {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly events: EventBus;
}

/** What one look at a sweep led to. */
export interface Advance {
  readonly promoted: readonly Queued[];
  /** Ids. */
  readonly dropped: readonly string[];
  /** Where it has come to its end. */
  readonly ended?: RunStatus;
}

/**
 * Looks at every sweep that is not over. What is decided is in the rows when this returns, or not at all.
 * @throws what went wrong with one of them, once the others were looked at
 */
export async function advanceSweeps(
  deps: SweepDeps,
  onAdvance: (sweepId: string, advance: Advance) => void,
): Promise<void> {
  const running = await deps.database.sweep.findMany({ where: { status: 'RUNNING' }, select: { id: true } });
  const faults: unknown[] = [];
  for (const { id } of running) {
    try {
      const advance = await advanceSweep(deps, id);
      if (advance) onAdvance(id, advance);
    } catch (error) {
      if (isOutage(error)) throw error;
      faults.push(error);
    }
  }
  await cancelForgotten(deps);
  if (faults.length > 0) throw faults[0];
}

/**
 * Decides from the rows what is to become of the trials that wait, and whether the sweep is over. The lock on its row
 * lets one process decide at a time; what a process that died had decided is in the rows, or is decided again.
 * @returns null where another process is at it, or there was nothing to do
 */
export async function advanceSweep(deps: SweepDeps, id: string): Promise<Advance | null> {
  const advance = await deps.database.$transaction(async (transaction) => {
    const [locked] = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM "Sweep" WHERE id = ${id} AND status = 'RUNNING' FOR UPDATE SKIP LOCKED`;
    return locked ? decide(transaction, await transaction.sweep.findUniqueOrThrow({ where: { id } })) : null;
  }, MANY_ROWS);
  if (!advance) return null;
  await queueRuns(deps, advance.promoted);
  for (const runId of advance.dropped) await announceRun(deps.events, runId);
  const isNews = advance.promoted.length > 0 || advance.dropped.length > 0 || advance.ended !== undefined;
  return isNews ? advance : null;
}

async function decide(transaction: Transaction, sweep: Sweep): Promise<Advance> {
  const trials = await readTrials(transaction, sweep);
  const { promoted, dropped } = await halve(transaction, sweep, trials);
  const left = trials.filter(({ id, status }) => !isFinished(status) && !dropped.includes(id));
  if (left.length > 0) return { promoted, dropped };
  const ended = endOf(trials);
  await transaction.sweep.update({ where: { id: sweep.id }, data: { status: ended, finishedAt: new Date() } });
  return { promoted, dropped, ended };
}

/** One success makes a search of it; where there is none, a failure says more than a trial that was cancelled. */
function endOf(trials: readonly Trial[]): RunStatus {
  const some = (status: RunStatus) => trials.some((trial) => trial.status === status);
  return some('SUCCEEDED') ? 'SUCCEEDED' : some('FAILED') ? 'FAILED' : 'CANCELLED';
}

type TrialAtRung = Trial & Contestant;

async function halve(transaction: Transaction, sweep: Sweep, trials: readonly Trial[]) {
  const { promote, drop } = decideFor(sweep, trials);
  const promoted: Queued[] = [];
  for (const verdict of promote) {
    const { contestant, rung } = verdict;
    const next = { pauseAfterEpoch: sweep.rungs[rung + 1] ?? null, priority: priorityAt(contestant, rung + 1) };
    const paused = { id: contestant.id, pausedAfterEpoch: sweep.rungs[rung]! };
    const goesOn = await promoteTrial(transaction, paused, next, promotionLine(sweep, verdict));
    if (goesOn) promoted.push({ id: contestant.id, priority: next.priority });
  }
  const dropped: string[] = [];
  for (const verdict of drop) {
    const paused = { id: verdict.contestant.id, pausedAfterEpoch: sweep.rungs[verdict.rung]! };
    if (await dropTrial(transaction, paused, dropLine(sweep, verdict))) dropped.push(paused.id);
  }
  return { promoted, dropped };
}

function decideFor(sweep: Sweep, trials: readonly Trial[]): Decision<TrialAtRung> {
  const { metric, reductionFactor } = configOf(sweep);
  const contestants = trials.map((trial) => ({ ...trial, target: targetOf(sweep, trial) }));
  return decideHalving(contestants, { rungs: sweep.rungs, reductionFactor, largerIsBetter: isLargerBetter(metric) });
}

function targetOf({ rungs }: Sweep, { pauseAfterEpoch }: Trial): number {
  const rung = pauseAfterEpoch === null ? -1 : rungs.indexOf(pauseAfterEpoch);
  return rung < 0 ? rungs.length : rung;
}

/** Trials further up come before those that have yet to begin. */
const priorityAt = ({ priority }: Trial, rung: number) => Math.min(priority + rung, MAX_PRIORITY);

function promotionLine(sweep: Sweep, verdict: Verdict<TrialAtRung>): string {
  const next = sweep.rungs[verdict.rung + 1];
  const until = next === undefined ? 'trains to its end' : `trains on to epoch ${next}`;
  return `promoted by the sweep ${sweep.name}: ${standing(sweep, verdict)}; ${until}`;
}

const dropLine = (sweep: Sweep, verdict: Verdict<TrialAtRung>) =>
  `stopped by the sweep ${sweep.name}: ${standing(sweep, verdict)}, ` +
  `and 1 in ${configOf(sweep).reductionFactor} trains on`;

/** `after epoch 3 its VALIDATION_ACCURACY of 0.8125 is number 5 of 9` */
function standing(sweep: Sweep, { contestant, rung, rank, of }: Verdict<TrialAtRung>): string {
  const result = contestant.results[rung]!.toPrecision(4);
  return `after epoch ${sweep.rungs[rung]} its ${configOf(sweep).metric} of ${result} is number ${rank} of ${of}`;
}

/** Trials of a cancelled sweep that a process left over which died while it cancelled them. */
async function cancelForgotten(deps: SweepDeps): Promise<void> {
  const left = await deps.database.trainingRun.findMany({
    where: {
      sweep: { status: 'CANCELLED' },
      OR: [{ status: { in: ['QUEUED', 'PAUSED'] } }, { status: 'RUNNING', requestedState: { not: 'CANCEL' } }],
    },
    select: { id: true },
    take: 100,
  });
  await cancelTrials(deps, left.map(({ id }) => id));
}
