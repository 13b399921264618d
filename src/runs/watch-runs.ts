import { isFinished } from '../domain/run-state.js';
import { isOutage, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { TrainingRun } from '../infra/prisma/client.js';
import { ringOn } from './bell.js';
import { findRun } from './read-runs.js';

/** News of a run: that its row has changed. What it changed to is in the row. */
export const runChannel = (runId: string) => `run:${runId}`;
/** The same of all runs. */
export const RUNS_CHANGED = 'runs';

/** To be called after a run's row was written, whoever wrote it. Never throws: a reader also looks by itself. */
export async function announceRun(events: EventBus, id: string): Promise<void> {
  await Promise.all([events.publish(runChannel(id), {}), events.publish(RUNS_CHANGED, { id })]);
}

/** A reader looks this often even without news, which may get lost. */
const LOOK_EVERY_MS = 900;

/**
 * The run at once, then whenever there is news of it and at least each second, and its end as the last. Nothing while
 * the database is away: whatever else is read for the value would fail, and end the watch.
 * @throws NOT_FOUND
 */
export async function* watchRun(
  deps: { database: Database; events: EventBus },
  id: string,
  signal: AbortSignal,
): AsyncGenerator<TrainingRun> {
  const leaving = new AbortController();
  const bell = ringOn(deps.events.subscribe(runChannel(id), AbortSignal.any([signal, leaving.signal])));
  try {
    let run: TrainingRun | 'away' | null = await findRun(deps, id);
    if (!run) throw notFound(`there is no run ${id}`, 'id');
    while (run && !signal.aborted) {
      if (run !== 'away') {
        yield run;
        if (isFinished(run.status)) return;
      }
      await bell.next(LOOK_EVERY_MS, signal);
      run = await look(deps, id);
    }
  } finally {
    leaving.abort();
  }
}

/** As it is now; null where it was deleted. */
async function look(deps: { database: Database }, id: string): Promise<TrainingRun | 'away' | null> {
  try {
    return await findRun(deps, id);
  } catch (error) {
    if (isOutage(error)) return 'away';
    throw error;
  }
}
