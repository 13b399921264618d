import type { RunStatus } from '../domain/run-state.js';
import type { Database } from '../infra/database.js';

export interface QueueStats {
  readonly waiting: number;
  readonly active: number;
  readonly paused: number;
  readonly failed: number;
}

/** Counted from the rows, which are the truth: Redis may have lost a job or hold one of a run that is over. */
export async function queueStats({ database }: { database: Database }): Promise<QueueStats> {
  const groups = await database.trainingRun.groupBy({ by: ['status'], _count: true });
  const count = (status: RunStatus) => groups.find((group) => group.status === status)?._count ?? 0;
  return { waiting: count('QUEUED'), active: count('RUNNING'), paused: count('PAUSED'), failed: count('FAILED') };
}
