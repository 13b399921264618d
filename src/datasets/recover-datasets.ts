import type { Database } from '../infra/database.js';
import type { JobQueue } from '../infra/queue.js';

/** Puts data sets that wait for validation, but whose job was lost, back in the queue. @returns how many */
export async function recoverDatasets({
  database,
  queue,
}: {
  database: Database;
  queue: Pick<JobQueue, 'enqueue' | 'has'>;
}): Promise<number> {
  let recovered = 0;
  for (const { id } of await database.dataset.findMany({ where: { status: 'VALIDATING' }, select: { id: true } })) {
    const payload = { v: 1, datasetId: id } as const;
    if (await queue.has('validate-dataset', payload)) continue;
    await queue.enqueue('validate-dataset', payload);
    recovered++;
  }
  return recovered;
}
