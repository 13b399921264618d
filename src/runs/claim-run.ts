import {
  MAX_FRUITLESS_ATTEMPTS,
  OWNER_DEAD_AFTER_MS,
  OWNER_SILENT_AFTER_MS,
  TAKEN_UP_WITHIN_MS,
  isFinished,
} from '../domain/run-state.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { Dataset, Model, TrainingRun } from '../infra/prisma/client.js';
import { cancelIdleRun, failRun, pauseIdleRun } from './finish-run.js';
import { ago } from './own-run.js';
import { announceRun } from './watch-runs.js';

export type ClaimedRun = TrainingRun & { readonly model: Model; readonly dataset: Dataset };

export type Claim =
  | { readonly kind: 'claimed'; readonly run: ClaimedRun }
  /** Another worker has it and is alive. */
  | { readonly kind: 'held' }
  /** … and has been silent: within seconds it is known whether it is dead. */
  | { readonly kind: 'silent' }
  /** The worker of a run that comes before it is silent or dead: whoever is there is to take that up first. */
  | { readonly kind: 'overtaking' }
  /** Ended, paused or deleted: there is nothing to do. */
  | { readonly kind: 'over' };

/** Takes a waiting run, or one whose worker is dead, for `workerId`: the attempt counts up, and its writes carry it. */
export async function claimRun(
  { database, events }: { database: Database; events: EventBus },
  runId: string,
  workerId: string,
): Promise<Claim> {
  const claim = await takeRun(database, runId, workerId);
  if (claim.kind === 'claimed' || claim.kind === 'over') await announceRun(events, runId);
  return claim;
}

async function takeRun(database: Database, runId: string, workerId: string): Promise<Claim> {
  if (await isOvertaking(database, runId)) return { kind: 'overtaking' };
  const attempt = await takeRow(database, runId, workerId);
  if (attempt === undefined) return whyNot(database, runId);
  // Of this attempt: whoever is held up here for long may find the next one's.
  const run = await database.trainingRun.findUnique({
    where: { id: runId, attempt },
    include: { model: true, dataset: true },
  });
  if (!run) return { kind: 'held' };
  if (run.fruitless <= MAX_FRUITLESS_ATTEMPTS) return { kind: 'claimed', run };
  const failure = `given up: ${MAX_FRUITLESS_ATTEMPTS} attempts in a row ended with the worker's death and without a new checkpoint`;
  await failRun({ database }, { runId, attempt: run.attempt }, failure);
  return { kind: 'over' };
}

/**
 * Whether a run that comes before this one is about to be taken up anew: a worker that was killed and started again
 * would else begin with the next one, hours long maybe, before the queue gives back what it had. A run that nobody
 * takes up in time stops nobody.
 */
async function isOvertaking(database: Database, runId: string): Promise<boolean> {
  const [row] = await database.$queryRaw<{ overtaking: boolean }[]>`
    SELECT EXISTS (
      SELECT FROM "TrainingRun" mine JOIN "TrainingRun" other
        ON (other.priority, mine."queuedAt", mine.number) > (mine.priority, other."queuedAt", other.number)
      WHERE mine.id = ${runId} AND mine.status = 'QUEUED' AND other.status = 'RUNNING' AND other."requestedState" = 'RUN'
        AND other."heartbeatAt" BETWEEN ${ago(TAKEN_UP_WITHIN_MS)} AND ${ago(OWNER_SILENT_AFTER_MS)}
    ) AS overtaking`;
  return row!.overtaking;
}

/** One statement, by the database's clock: of two workers one wins. @returns the attempt, or undefined for the other */
async function takeRow(database: Database, runId: string, workerId: string): Promise<number | undefined> {
  const [taken] = await database.$queryRaw<{ attempt: number }[]>`
    UPDATE "TrainingRun"
    SET status = 'RUNNING', attempt = attempt + 1, fruitless = fruitless + 1, "workerId" = ${workerId},
        "heartbeatAt" = clock_timestamp(), "startedAt" = COALESCE("startedAt", clock_timestamp()), "etaSeconds" = NULL
    WHERE id = ${runId} AND "requestedState" = 'RUN'
      AND (status = 'QUEUED' OR status = 'RUNNING' AND "heartbeatAt" < ${ago(OWNER_DEAD_AFTER_MS)})
    RETURNING attempt`;
  return taken?.attempt;
}

async function whyNot(database: Database, runId: string): Promise<Claim> {
  const run = await database.trainingRun.findUnique({ where: { id: runId } });
  if (!run || run.status === 'PAUSED' || isFinished(run.status)) return { kind: 'over' };
  // Its worker died before it could do what was asked of it.
  if (await cancelIdleRun({ database }, runId)) return { kind: 'over' };
  if (await pauseIdleRun({ database }, runId)) return { kind: 'over' };
  const [row] = await database.$queryRaw<{ silent: boolean }[]>`
    SELECT "heartbeatAt" < ${ago(OWNER_SILENT_AFTER_MS)} AS silent FROM "TrainingRun" WHERE id = ${runId}`;
  return { kind: row?.silent === true ? 'silent' : 'held' };
}
