import { badInput, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EpochMetric, TrainingRun } from '../infra/prisma/client.js';
import { configDifferences, type ConfigDifference } from './config-differences.js';
import { storedConfig } from './run-config.js';

/** Runs side by side: each list of one per run is in the order of `runs`. */
export interface RunComparison {
  readonly runs: TrainingRun[];
  readonly history: ComparedEpoch[];
  readonly differences: ConfigDifference[];
}

export interface ComparedEpoch {
  /** 1-based. */
  readonly epoch: number;
  /** One per run; null where it has not come so far. */
  readonly metrics: (EpochMetric | null)[];
}

export const MAX_COMPARED_RUNS = 8;

/** @throws BAD_USER_INPUT unless there are 2 to 8 different ids; NOT_FOUND */
export async function compareRuns(
  { database }: { database: Database },
  ids: readonly string[],
): Promise<RunComparison> {
  if (ids.length < 2 || ids.length > MAX_COMPARED_RUNS)
    throw badInput('ids', `must be 2 to ${MAX_COMPARED_RUNS} runs, not ${ids.length}`);
  const twice = ids.findIndex((id, index) => ids.indexOf(id) !== index);
  if (twice !== -1) throw badInput(`ids.${twice}`, `names ${ids[twice]} a second time`);
  const [found, metrics] = await Promise.all([
    database.trainingRun.findMany({ where: { id: { in: [...ids] } } }),
    database.epochMetric.findMany({ where: { runId: { in: [...ids] } }, orderBy: { epoch: 'asc' } }),
  ]);
  const runs = ids.map((id, index) => {
    const run = found.find((row) => row.id === id);
    if (!run) throw notFound(`there is no run ${id}`, `ids.${index}`);
    return run;
  });
  return {
    runs,
    history: alignEpochs(ids, metrics),
    differences: configDifferences(runs.map(storedConfig)),
  };
}

/** @param metrics by epoch */
function alignEpochs(ids: readonly string[], metrics: readonly EpochMetric[]): ComparedEpoch[] {
  const rows = new Map<number, (EpochMetric | null)[]>();
  for (const metric of metrics) {
    const row = rows.get(metric.epoch) ?? ids.map(() => null);
    row[ids.indexOf(metric.runId)] = metric;
    rows.set(metric.epoch, row);
  }
  return [...rows].map(([epoch, row]) => ({ epoch, metrics: row }));
}
