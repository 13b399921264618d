import type { Metric } from '../domain/plan.js';
import type { RunStatus } from '../domain/run-state.js';
import type { Database, Transaction } from '../infra/database.js';
import { Prisma, type Sweep } from '../infra/prisma/client.js';
import type { SweepConfig } from './plan-sweep.js';

/** What a sweep goes by: a trial's row, and its metric where trials are compared. */
export interface Trial {
  readonly id: string;
  readonly trial: number;
  readonly status: RunStatus;
  /** Before the first rung: promotions raise the run's own. */
  readonly priority: number;
  readonly pauseAfterEpoch: number | null;
  /** Its metric at the rungs that it completed, the first first. */
  readonly results: readonly number[];
  /** Its metric after the last epoch that it completed. */
  readonly latest: number | null;
}

const COLUMNS: Readonly<Record<Metric, string>> = {
  TRAIN_LOSS: '"trainLoss"',
  TRAIN_ACCURACY: '"trainAccuracy"',
  VALIDATION_LOSS: '"validationLoss"',
  VALIDATION_ACCURACY: '"validationAccuracy"',
};

export const configOf = (sweep: Sweep) => sweep.config as unknown as SweepConfig;

/** In their order. Only the epochs that matter are read: a sweep may have a thousand trials of a thousand epochs. */
export async function readTrials(database: Database | Transaction, sweep: Sweep): Promise<Trial[]> {
  const value = Prisma.raw(COLUMNS[configOf(sweep).metric]);
  const rows = await database.$queryRaw<Trial[]>`
    SELECT run.id, run.trial, run.status::text AS status, (run.config->>'priority')::int AS priority,
      run."pauseAfterEpoch", last.value AS latest,
      coalesce(
        (SELECT array_agg(${value} ORDER BY epoch) FROM "EpochMetric" WHERE "runId" = run.id AND epoch = ANY(${sweep.rungs})),
        '{}'
      ) AS results
    FROM "TrainingRun" run
    LEFT JOIN LATERAL (
      SELECT ${value} AS value FROM "EpochMetric" WHERE "runId" = run.id ORDER BY epoch DESC LIMIT 1
    ) last ON true
    WHERE run."sweepId" = ${sweep.id}
    ORDER BY run.trial`;
  return rows.map((row) => ({ ...row, results: completed(row, sweep.rungs.length) }));
}

/** One that stopped early by its own rule is done with the rungs that it did not need. */
function completed({ status, results, latest }: Trial, rungs: number): readonly number[] {
  if (status !== 'SUCCEEDED' || latest === null) return results;
  return [...results, ...new Array<number>(rungs - results.length).fill(latest)];
}
