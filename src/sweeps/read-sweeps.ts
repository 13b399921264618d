import { isLargerBetter } from '../domain/search.js';
import type { Database } from '../infra/database.js';
import { idBeyond, readPage, type Page, type PageArguments } from '../infra/page.js';
import type { Sweep, TrainingRun } from '../infra/prisma/client.js';
import { configOf, readTrials, type Trial } from './read-trials.js';

interface Deps {
  readonly database: Database;
}

export function findSweep({ database }: Deps, id: string): Promise<Sweep | null> {
  return database.sweep.findUnique({ where: { id } });
}

/** The newest first. @throws BAD_USER_INPUT for a cursor of another kind */
export function listSweeps({ database }: Deps, page: PageArguments): Promise<Page<Sweep>> {
  return readPage(
    page,
    ({ take, place }) => database.sweep.findMany({ where: idBeyond(place), orderBy: { id: 'desc' }, take }),
    () => database.sweep.count(),
  );
}

/**
 * The trial with the best metric among those that got furthest: those that trained to their end, by the metric after
 * their last epoch, else those of the highest rung, by the metric there, else all that completed an epoch. A failed
 * trial is none of them.
 */
export async function bestRun({ database }: Deps, sweep: Sweep): Promise<TrainingRun | null> {
  const standings = (await readTrials(database, sweep))
    .filter(({ status }) => status !== 'FAILED')
    .map((trial) => standingOf(trial, sweep.rungs.length))
    .filter(({ value }) => value !== null);
  const furthest = Math.max(...standings.map(({ level }) => level));
  const sign = isLargerBetter(configOf(sweep).metric) ? 1 : -1;
  const [best] = standings
    .filter(({ level }) => level === furthest)
    .toSorted((a, b) => sign * (b.value! - a.value!) || a.trial - b.trial);
  return best ? database.trainingRun.findUnique({ where: { id: best.id } }) : null;
}

/** `level`: rungs completed, one more for the end. */
function standingOf({ id, trial, status, results, latest }: Trial, rungs: number) {
  if (status === 'SUCCEEDED') return { id, trial, level: rungs + 1, value: latest };
  return { id, trial, level: results.length, value: results.at(-1) ?? latest };
}
