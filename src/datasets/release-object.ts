import type { Database, Transaction } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';

/**
 * Two data sets of the same content share one object. Who removes it and who is about to refer to it wait for each
 * other here, so that no row ever refers to an object that has just been removed.
 */
export async function withObjectLock<T>(
  database: Database,
  sha256: string,
  use: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return database.$transaction(
    async (transaction) => {
      await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`dataset-object:${sha256}`}, 0))`;
      return use(transaction);
    },
    { timeout: 60_000, maxWait: 60_000 },
  );
}

/** Removes a decoded data set's object unless another row refers to it. */
export async function releaseObject(
  { database, objects }: { database: Database; objects: ObjectStore },
  sha256: string,
): Promise<void> {
  await withObjectLock(database, sha256, async (transaction) => {
    if ((await transaction.dataset.count({ where: { sha256 } })) === 0) await objects.remove(sha256);
  });
}
