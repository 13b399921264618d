import type { Database } from '../infra/database.js';
import type { JobQueue } from '../infra/queue.js';

const AT_ONCE = 500;

/**
 * Queues every version that is still to be quantised, the longest waiting first. Queueing one whose job is there
 * changes nothing, so only those whose job was lost are put back.
 */
export async function recoverQuantizations({
  database,
  queue,
}: {
  database: Database;
  queue: Pick<JobQueue, 'enqueue'>;
}): Promise<void> {
  const pending = await database.quantization.findMany({
    where: { status: 'PENDING' },
    select: { versionId: true },
    orderBy: { createdAt: 'asc' },
    take: AT_ONCE,
  });
  for (const { versionId } of pending) await queue.enqueue('quantize-version', { v: 1, versionId });
}
