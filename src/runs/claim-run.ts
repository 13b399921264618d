import { MAX_FRUITLESS_ATTEMPTS, OWNER_DEAD_AFTER_MS, isFinished } from '../domain/run-state.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { Dataset, Model, TrainingRun } from '../infra/prisma/client.js';
import { cancelIdleRun, failRun, pauseIdleRun } from './finish-run.js';
import { announceRun } from './watch-runs.js';

export type ClaimedRun = TrainingRun & { readonly model: Model; readonly dataset: Dataset };

export type Claim =
  | { readonly kind: 'claimed'; readonly run: ClaimedRun }
  /** Another worker has it and is alive. */
  | { readonly kind: 'held' }
  /** Ended, paused or deleted: there is nothing to do. */
  | { readonly kind: 'over' };

/** Takes a waiting run, or one whose worker is dead, for `workerId`: the attempt counts up, and its writes carry it. */
export async function claimRun(
  { database, events }: { database: Database; events: EventBus },
  runId: string,
  workerId: string,
): Promise<Claim> {
  const claim = await takeRun(database, runId, workerId);
  if (claim.kind !== 'held') await announceRun(events, runId);
  return claim;
}

async function takeRun(database: Database, runId: string, workerId: string): Promise<Claim> {
  if (!(await takeRow(database, runId, workerId))) return whyNot(database, runId);
  const run = await database.trainingRun.findUniqueOrThrow({
    where: { id: runId },
    include: { model: true, dataset: true },
  });
  if (run.fruitless <= MAX_FRUITLESS_ATTEMPTS) return { kind: 'claimed', run };
  const failure = `given up: ${MAX_FRUITLESS_ATTEMPTS} attempts in a row ended with the worker's death and without a new checkpoint`;
  await failRun({ database }, { runId, attempt: run.attempt }, failure);
  return { kind: 'over' };
}

/** One statement, by the database's clock: of two workers one wins. */
async function takeRow(database: Database, runId: string, workerId: string): Promise<boolean> {
  const taken = await database.$executeRaw`
    UPDATE "TrainingRun"
    SET status = 'RUNNING', attempt = attempt + 1, fruitless = fruitless + 1, "workerId" = ${workerId},
        "heartbeatAt" = clock_timestamp(), "startedAt" = COALESCE("startedAt", clock_timestamp()), "etaSeconds" = NULL
    WHERE id = ${runId} AND "requestedState" = 'RUN' AND (status = 'QUEUED' OR status = 'RUNNING' AND
      "heartbeatAt" < clock_timestamp() - make_interval(secs => ${OWNER_DEAD_AFTER_MS / 1000}::float8))`;
  return taken === 1;
}

async function whyNot(database: Database, runId: string): Promise<Claim> {
  const run = await database.trainingRun.findUnique({ where: { id: runId } });
  if (!run || run.status === 'PAUSED' || isFinished(run.status)) return { kind: 'over' };
  // Its worker died before it could do what was asked of it.
  if (await cancelIdleRun({ database }, runId)) return { kind: 'over' };
  if (await pauseIdleRun({ database }, runId)) return { kind: 'over' };
  return { kind: 'held' };
}
