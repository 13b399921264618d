import type { Database } from '../infra/database.js';
import type { Worker } from '../infra/prisma/client.js';

/** A worker that was not heard of for this long is gone. */
const GONE_AFTER_MS = 15_000;
const FORGOTTEN_AFTER_MS = 24 * 60 * 60 * 1000;

interface Deps {
  readonly database: Database;
}

/** Those that were heard of a moment ago, by host. */
export function listWorkers({ database }: Deps): Promise<Worker[]> {
  return database.worker.findMany({
    where: { lastSeenAt: { gte: new Date(Date.now() - GONE_AFTER_MS) } },
    orderBy: [{ host: 'asc' }, { id: 'asc' }],
  });
}

/** What a worker says of itself once a second. */
export async function reportWorker({ database }: Deps, worker: Omit<Worker, 'lastSeenAt'>): Promise<void> {
  const row = { ...worker, lastSeenAt: new Date() };
  await database.worker.upsert({ where: { id: worker.id }, create: row, update: row });
}

/** When it ends in order; those that did not are forgotten a day later. */
export async function removeWorker({ database }: Deps, id: string): Promise<void> {
  const forgotten = new Date(Date.now() - FORGOTTEN_AFTER_MS);
  await database.worker.deleteMany({ where: { OR: [{ id }, { lastSeenAt: { lt: forgotten } }] } });
}
