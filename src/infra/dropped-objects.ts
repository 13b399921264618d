import { unavailable } from '../errors.js';
import type { Database, Transaction } from './database.js';
import type { ObjectStore } from './objects.js';

/**
 * Objects of deleted rows. The transaction that deletes a row notes its object as dropped; the object goes afterwards,
 * and the note last. So a crash at any moment leaves a note that is found again, never an object that nothing knows.
 */

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

const AT_ONCE = 500;

/** Part of the transaction that deletes the rows which name them. */
export async function dropObjects(transaction: Transaction, sha256s: readonly string[]): Promise<void> {
  if (sha256s.length === 0) return;
  // Written even where it is there, so that who removes at this moment and this transaction wait for each other.
  await transaction.$executeRaw`
    INSERT INTO "DroppedObject" (sha256) SELECT DISTINCT unnest(${[...sha256s]}::text[]) ORDER BY 1
    ON CONFLICT (sha256) DO UPDATE SET "droppedAt" = clock_timestamp()`;
}

/** Removes those that no row names, of `sha256s` or the longest dropped of all. May be called by many at once. */
export async function removeDroppedObjects(deps: Deps, sha256s?: readonly string[]): Promise<void> {
  const dropped = await deps.database.droppedObject.findMany({
    where: { ...(sha256s && { sha256: { in: [...sha256s] } }) },
    orderBy: { droppedAt: 'asc' },
    take: AT_ONCE,
  });
  for (const { sha256 } of dropped) await removeDropped(deps, sha256);
}

/**
 * For a transaction that is about to name objects stored before it began: until its end nobody removes them.
 * @throws SERVICE_UNAVAILABLE where one was removed meanwhile: it is to be stored once more
 */
export async function holdObjects(
  transaction: Transaction,
  objects: ObjectStore,
  sha256s: readonly string[],
): Promise<void> {
  for (const sha256 of sha256s.toSorted()) await lock(transaction, sha256);
  for (const sha256 of sha256s)
    if (!(await objects.has(sha256))) throw unavailable(`object ${sha256} was removed before it was named`);
}

async function removeDropped({ database, objects }: Deps, sha256: string): Promise<void> {
  await database.$transaction(
    async (transaction) => {
      await lock(transaction, sha256);
      const noted = await transaction.$queryRaw<unknown[]>`
        SELECT sha256 FROM "DroppedObject" WHERE sha256 = ${sha256} FOR UPDATE`;
      if (noted.length === 0) return;
      // The note stays for as long as a run that has not ended may start from the object: nobody drops it again.
      if (await isAwaited(transaction, sha256)) return;
      if (!(await isNamed(transaction, sha256))) await objects.remove(sha256);
      await transaction.droppedObject.delete({ where: { sha256 } });
    },
    { timeout: 30_000, maxWait: 30_000 },
  );
}

async function isNamed(transaction: Transaction, sha256: string): Promise<boolean> {
  const where = { where: { sha256 }, select: { sha256: true } } as const;
  return (
    (await transaction.artifact.findFirst(where)) !== null ||
    (await transaction.checkpoint.findFirst(where)) !== null ||
    (await transaction.dataset.findFirst(where)) !== null
  );
}

async function isAwaited(transaction: Transaction, sha256: string): Promise<boolean> {
  const run = await transaction.trainingRun.findFirst({
    where: {
      status: { in: ['QUEUED', 'RUNNING', 'PAUSED'] },
      plan: { path: ['initialWeights', 'sha256'], equals: sha256 },
    },
    select: { id: true },
  });
  return run !== null;
}

async function lock(transaction: Transaction, sha256: string): Promise<void> {
  await transaction.$executeRaw`SELECT pg_advisory_xact_lock(hashtextextended(${`object:${sha256}`}, 0))`;
}
