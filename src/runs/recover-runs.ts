import type { Database } from '../infra/database.js';
import type { Prisma, TrainingRun } from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { ownersDeadSince } from './own-run.js';

/** Done this often, a run whose job was lost is back in the queue well within 30 s. */
export const RECOVER_EVERY_MS = 10_000;
const AT_ONCE = 500;

/**
 * Queues every run that waits or whose worker is dead: the most urgent first, since an idle worker takes the first to
 * come, and within a priority the one that has waited longest, as the queue keeps that order. Queueing one whose job is
 * there changes nothing, so only those whose job was lost are put back.
 */
export async function recoverRuns({ database, queue }: { database: Database; queue: JobQueue }): Promise<void> {
  const deadSince = await ownersDeadSince(database);
  let last: Place | undefined;
  for (;;) {
    const runs = await database.trainingRun.findMany({
      where: {
        AND: [
          { OR: [{ status: 'QUEUED' }, { status: 'RUNNING', heartbeatAt: { lt: deadSince } }] },
          last ? behind(last) : {},
        ],
      },
      select: { id: true, number: true, priority: true, queuedAt: true },
      orderBy: [{ priority: 'desc' }, { queuedAt: 'asc' }, { number: 'asc' }],
      take: AT_ONCE,
    });
    for (const { id, priority } of runs) await queue.enqueue('train', { v: 1, runId: id }, { priority });
    if (runs.length < AT_ONCE) return;
    last = runs.at(-1);
  }
}

type Place = Pick<TrainingRun, 'priority' | 'queuedAt' | 'number'>;

const behind = ({ priority, queuedAt, number }: Place): Prisma.TrainingRunWhereInput => ({
  OR: [
    { priority: { lt: priority } },
    { priority, queuedAt: { gt: queuedAt } },
    { priority, queuedAt, number: { gt: number } },
  ],
});
