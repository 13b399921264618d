import { ResidualError, conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { Sweep } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { cancelRun } from '../runs/control-run.js';
import { findSweep } from './read-sweeps.js';

interface Deps {
  readonly database: Database;
  readonly queue: JobQueue;
  readonly events: EventBus;
}

/**
 * The sweep is CANCELLED at once, and with it its trials that wait; those that train stop within two seconds. Should
 * this process end in between, `advanceSweeps` cancels the rest.
 * @throws NOT_FOUND; CONFLICT where the sweep is over.
 */
export async function cancelSweep(deps: Deps, id: string): Promise<Sweep> {
  const { count } = await deps.database.sweep.updateMany({
    where: { id, status: 'RUNNING' },
    data: { status: 'CANCELLED', finishedAt: new Date() },
  });
  const sweep = await findSweep(deps, id);
  if (!sweep) throw notFound(`there is no sweep ${id}`, 'id');
  if (count === 0) throw conflict(`the sweep is ${sweep.status} already`, 'id');
  const runs = await deps.database.trainingRun.findMany({
    where: { sweepId: id, status: { in: ['QUEUED', 'RUNNING', 'PAUSED'] } },
    // Those that wait first, or a worker takes one up as soon as it has stopped another.
    orderBy: [{ status: 'asc' }, { trial: 'asc' }],
    select: { id: true },
  });
  await cancelTrials(deps, runs.map((run) => run.id));
  return sweep;
}

/** One that ended by itself meanwhile is left as it is. */
export async function cancelTrials(deps: Deps, ids: readonly string[]): Promise<void> {
  for (const id of ids)
    await cancelRun(deps, id).catch((error: unknown) => {
      if (!(error instanceof ResidualError && ['CONFLICT', 'NOT_FOUND'].includes(error.code))) throw error;
    });
}
