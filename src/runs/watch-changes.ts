import { setTimeout as sleep } from 'node:timers/promises';
import { isOutage } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { EventBus } from '../infra/events.js';
import type { TrainingRun } from '../infra/prisma/client.js';
import { ringOn } from './bell.js';
import { RUNS_CHANGED } from './watch-runs.js';

/** A watcher is given a run no more often than this, and then as it is by then. */
const EACH_EVERY_MS = 1_000;
/** Many runs tell of themselves at about the same time. */
const GATHER_MS = 100;
/** A reader looks this often even without news, which may get lost. */
const LOOK_EVERY_MS = 3_000;
/** A write is seen when its transaction ends, at most 20 s (`writeAsOwner`) after the time that it is stamped with. */
const OVERLAP_MS = 30_000;

/** Each run whose row is written from now on, in its newest state, the last one of each for certain. */
export async function* watchRuns(
  { database, events }: { database: Database; events: EventBus },
  signal: AbortSignal,
): AsyncGenerator<TrainingRun> {
  const leaving = new AbortController();
  const bell = ringOn(events.subscribe(RUNS_CHANGED, AbortSignal.any([signal, leaving.signal])));
  try {
    const changes = new RunChanges(database);
    await changes.begin();
    while (!signal.aborted) {
      await bell.next(changes.nextLookMs, signal);
      await sleep(GATHER_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) yield* await changes.take();
    }
  } finally {
    leaving.abort();
  }
}

interface Told {
  /** Of the state that was given, in ms. */
  readonly updatedAt: number;
  /** When it was given, by `performance.now()`. */
  readonly at: number;
}

/** What one watcher has been given of the runs that were written lately. */
class RunChanges {
  private readonly told = new Map<string, Told>();
  /** The newest stamp seen. */
  private newest = 0;
  /** When there is something to look for, should there be no news before. */
  nextLookMs = LOOK_EVERY_MS;

  constructor(private readonly database: Database) {}

  /** What is there already is not news. */
  async begin(): Promise<void> {
    const [clock] = await this.database.$queryRaw<{ now: Date }[]>`SELECT clock_timestamp() AS now`;
    this.newest = clock!.now.getTime();
    for (const { id, updatedAt } of await this.stamps())
      this.told.set(id, { updatedAt: updatedAt.getTime(), at: -Infinity });
  }

  /** The runs to give now; none while the database is away. */
  async take(): Promise<TrainingRun[]> {
    try {
      const runs = await this.read(this.due(await this.stamps()));
      for (const { id, updatedAt } of runs)
        this.told.set(id, { updatedAt: updatedAt.getTime(), at: performance.now() });
      return runs;
    } catch (error) {
      if (!isOutage(error)) throw error;
      return [];
    }
  }

  /** Of those that were written since they were given, the ones whose turn it is. */
  private due(stamps: Stamp[]): string[] {
    const now = performance.now();
    const written = new Set(stamps.map(({ id }) => id));
    for (const id of this.told.keys()) if (!written.has(id)) this.told.delete(id);
    this.nextLookMs = LOOK_EVERY_MS;
    return stamps.flatMap(({ id, updatedAt }) => {
      const told = this.told.get(id);
      if (told?.updatedAt === updatedAt.getTime()) return [];
      const waitMs = told ? told.at + EACH_EVERY_MS - now : 0;
      if (waitMs <= 0) return [id];
      this.nextLookMs = Math.min(this.nextLookMs, waitMs);
      return [];
    });
  }

  private async stamps(): Promise<Stamp[]> {
    const stamps = await this.database.trainingRun.findMany({
      where: { updatedAt: { gte: new Date(this.newest - OVERLAP_MS) } },
      select: { id: true, updatedAt: true },
    });
    for (const { updatedAt } of stamps) this.newest = Math.max(this.newest, updatedAt.getTime());
    return stamps;
  }

  private read(ids: string[]): Promise<TrainingRun[]> | TrainingRun[] {
    if (ids.length === 0) return [];
    return this.database.trainingRun.findMany({ where: { id: { in: ids } }, orderBy: { updatedAt: 'asc' } });
  }
}

type Stamp = Pick<TrainingRun, 'id' | 'updatedAt'>;
