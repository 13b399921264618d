import { isFinished } from '../domain/run-state.js';
import { conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { TrainingRun } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { cancelIdleRun } from './finish-run.js';
import { findRun } from './read-runs.js';
import { announceRun } from './watch-runs.js';

/**
 * A waiting run is cancelled at once. Of a running one it is *asked*: its worker reads that with its next heartbeat,
 * stops between two steps and sets CANCELLED.
 * @throws NOT_FOUND; CONFLICT where the run is over.
 */
export async function cancelRun(
  deps: { database: Database; queue: JobQueue; events: EventBus },
  id: string,
): Promise<TrainingRun> {
  const asked = await deps.database.trainingRun.updateMany({
    where: { id, status: { in: ['QUEUED', 'RUNNING', 'PAUSED'] } },
    data: { requestedState: 'CANCEL' },
  });
  if (asked.count === 1 && (await cancelIdleRun(deps, id))) {
    // A job whose run is over does nothing, so one that stays behind is no harm.
    await deps.queue.remove('train', { v: 1, runId: id }).catch(() => undefined);
  }
  await announceRun(deps.events, id);
  const run = await findRun(deps, id);
  if (!run) throw notFound(`there is no run ${id}`, 'id');
  if (asked.count === 0 && isFinished(run.status)) throw conflict(`the run is ${run.status} already`, 'id');
  return run;
}
