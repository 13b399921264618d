import { OWNER_DEAD_AFTER_MS } from '../domain/run-state.js';
import type { Database, Transaction } from '../infra/database.js';
import { removeUnnamed } from '../infra/dropped-objects.js';
import type { ObjectStore } from '../infra/objects.js';
import { Prisma } from '../infra/prisma/client.js';

/** A worker's hold on a run: the attempt that it began. */
export interface Ownership {
  readonly runId: string;
  readonly attempt: number;
}

/** The run is another worker's by now, or was ended by somebody: nothing of this attempt may be written any more. */
export class RunLostError extends Error {
  override readonly name = 'RunLostError';
  constructor({ runId, attempt }: Ownership) {
    super(`attempt ${attempt} of run ${runId} has lost the run`);
  }
}

/** Names the objects `stored`; where the run is lost by then, nobody will, and they go. @throws what `name` throws */
export async function nameOrRemove<T>(
  deps: { readonly database: Database; readonly objects: ObjectStore },
  stored: readonly string[],
  name: () => Promise<T>,
): Promise<T> {
  try {
    return await name();
  } catch (error) {
    // A store or a database that is away leaves it to the note.
    if (error instanceof RunLostError) await removeUnnamed(deps, stored).catch(() => undefined);
    throw error;
  }
}

/** So long ago, by the database's clock: heartbeats carry its time, and a host's may be another. */
export const ago = (milliseconds: number): Prisma.Sql =>
  Prisma.sql`(clock_timestamp() - make_interval(secs => ${milliseconds / 1000}::float8))`;

/** Whose heartbeat is older than this is dead. */
export async function ownersDeadSince(database: Database | Transaction): Promise<Date> {
  const [row] = await database.$queryRaw<{ since: Date }[]>`SELECT ${ago(OWNER_DEAD_AFTER_MS)} AS since`;
  return row!.since;
}

/**
 * The fence: `write` happens only while this attempt has the run. Renews the heartbeat, whose row lock keeps others
 * from taking the run up until the transaction ends.
 * @throws RunLostError, and then nothing was written.
 */
export async function writeAsOwner<T>(
  database: Database,
  owner: Ownership,
  write: (transaction: Transaction) => Promise<T>,
): Promise<T> {
  return database.$transaction(
    async (transaction) => {
      const held = await transaction.$executeRaw`
        UPDATE "TrainingRun" SET "heartbeatAt" = clock_timestamp()
        WHERE id = ${owner.runId} AND attempt = ${owner.attempt} AND status = 'RUNNING'`;
      if (held === 0) throw new RunLostError(owner);
      return write(transaction);
    },
    { timeout: 20_000 },
  );
}
