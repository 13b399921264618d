import { OWNER_DEAD_AFTER_MS } from '../domain/run-state.js';
import type { Database } from '../infra/database.js';
import { ago } from './own-run.js';

/** Images trained per second now, over all runs that a living worker has, by the newest step of each. */
export async function trainingRate({ database }: { database: Database }): Promise<number> {
  const [sum] = await database.$queryRaw<{ rate: number }[]>`
    SELECT coalesce(sum(newest.rate), 0)::float8 AS rate
    FROM "TrainingRun" run
    CROSS JOIN LATERAL (
      SELECT "imagesPerSecond" AS rate FROM "StepMetric" WHERE "runId" = run.id ORDER BY step DESC LIMIT 1
    ) newest
    WHERE run.status = 'RUNNING' AND run."heartbeatAt" > ${ago(OWNER_DEAD_AFTER_MS)}`;
  return sum?.rate ?? 0;
}
