import type { Database, Transaction } from './database.js';
import type { ObjectStore, StoredObject } from './objects.js';

/**
 * Objects that no row names: not yet, or no more. One that is about to be stored is noted before, and the transaction
 * whose row names it takes the note back; one that deletes such a row writes a note again. A noted object goes once its
 * time has come, and the note last. So a crash at any moment leaves a note that is found again, never an object that
 * nothing knows.
 */

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
}

/** An object went before a row named it: it is to be stored once more. */
export class ObjectRemovedError extends Error {
  override readonly name = 'ObjectRemovedError';
  constructor(sha256: string) {
    super(`object ${sha256} was removed before it was named`);
  }
}

const AT_ONCE = 500;
/** What is stored is named within moments; who takes longer than this stores it again. */
const NAMED_WITHIN_HOURS = 6;

/** What `putBytes` and `putFile` are given, so that the object is noted before it is there. */
export function noteIn(database: Database): (object: StoredObject) => Promise<void> {
  return async ({ sha256 }) => {
    await database.$executeRaw`
      INSERT INTO "DroppedObject" (sha256, "droppedAt")
      VALUES (${sha256}, clock_timestamp() + make_interval(hours => ${NAMED_WITHIN_HOURS}::int))
      ON CONFLICT (sha256) DO UPDATE SET "droppedAt" = EXCLUDED."droppedAt"`;
  };
}

/** Does `work`, which stores objects and names them, once more where one was removed in between. */
export async function storeUntilNamed<T>(work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ObjectRemovedError)) throw error;
    }
  }
}

/**
 * For a transaction that is about to name objects noted and stored before: until its end nobody removes them.
 * @throws ObjectRemovedError
 */
export async function holdObjects(
  transaction: Transaction,
  objects: ObjectStore,
  sha256s: readonly string[],
): Promise<void> {
  for (const sha256 of sha256s.toSorted()) await lock(transaction, sha256);
  for (const sha256 of sha256s) if (!(await objects.has(sha256))) throw new ObjectRemovedError(sha256);
}

/**
 * Part of the transaction that names the objects, behind its rows: who deletes such rows takes the locks in that order.
 * @returns how many were there; nobody has removed an object whose note is, if this process alone stores it
 */
export async function takeBackNotes(transaction: Transaction, sha256s: readonly string[]): Promise<number> {
  let taken = 0;
  for (const sha256 of sha256s.toSorted())
    taken += await transaction.$executeRaw`DELETE FROM "DroppedObject" WHERE sha256 = ${sha256}`;
  return taken;
}

/** Part of the transaction that deletes the rows which name them. */
export async function dropObjects(transaction: Transaction, sha256s: readonly string[]): Promise<void> {
  if (sha256s.length === 0) return;
  // Written even where it is there, so that who removes at this moment and this transaction wait for each other.
  await transaction.$executeRaw`
    INSERT INTO "DroppedObject" (sha256, "droppedAt")
    SELECT DISTINCT unnest(${[...sha256s]}::text[]), date_trunc('milliseconds', clock_timestamp()) ORDER BY 1
    ON CONFLICT (sha256) DO UPDATE SET "droppedAt" = EXCLUDED."droppedAt"`;
}

/** For objects noted and stored that are not to be named after all: they go now instead of when their time has come. */
export async function removeUnnamed(deps: Deps, sha256s: readonly string[]): Promise<void> {
  await deps.database.$transaction((transaction) => dropObjects(transaction, sha256s));
  await removeDroppedObjects(deps, sha256s);
}

/** Removes those whose time has come and that no row names, of `sha256s` or of all. May be called by many at once. */
export async function removeDroppedObjects(deps: Deps, sha256s?: readonly string[]): Promise<void> {
  const dropped = await deps.database.$queryRaw<{ sha256: string }[]>`
    SELECT sha256 FROM "DroppedObject"
    WHERE "droppedAt" <= clock_timestamp() AND (${sha256s === undefined} OR sha256 = ANY(${[...(sha256s ?? [])]}::text[]))
    ORDER BY "droppedAt" LIMIT ${AT_ONCE}`;
  for (const { sha256 } of dropped) await removeDropped(deps, sha256);
}

async function removeDropped({ database, objects }: Deps, sha256: string): Promise<void> {
  await database.$transaction(
    async (transaction) => {
      await lock(transaction, sha256);
      const noted = await transaction.$queryRaw<unknown[]>`
        SELECT sha256 FROM "DroppedObject" WHERE sha256 = ${sha256} AND "droppedAt" <= clock_timestamp() FOR UPDATE`;
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
