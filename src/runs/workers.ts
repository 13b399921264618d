import type { Database } from '../infra/database.js';
import type { Worker } from '../infra/prisma/client.js';

/** A worker that was not heard of for this long is gone … */
const GONE_AFTER_SECONDS = 15;
/** … and shown as gone for this long. */
const FORGOTTEN_AFTER_SECONDS = 24 * 60 * 60;

interface Deps {
  readonly database: Database;
}

export interface ListedWorker extends Worker {
  readonly online: boolean;
}

/** Those that are there, by host, then those that went without a word. All by the database's clock. */
export function listWorkers({ database }: Deps): Promise<ListedWorker[]> {
  return database.$queryRaw<ListedWorker[]>`
    SELECT id, host, engine::text, device, threads, "lastSeenAt", online, CASE WHEN online THEN "runId" END AS "runId"
    FROM (
      SELECT *, "lastSeenAt" > clock_timestamp() - make_interval(secs => ${GONE_AFTER_SECONDS}::float8) AS online
      FROM "Worker"
      WHERE "lastSeenAt" > clock_timestamp() - make_interval(secs => ${FORGOTTEN_AFTER_SECONDS}::float8)
    ) known
    ORDER BY online DESC, host, id`;
}

/** What a worker says of itself once a second. */
export async function reportWorker({ database }: Deps, worker: Omit<Worker, 'lastSeenAt'>): Promise<void> {
  const { id, host, engine, device, threads, runId } = worker;
  await database.$executeRaw`
    INSERT INTO "Worker" (id, host, engine, device, threads, "runId", "lastSeenAt")
    VALUES (${id}, ${host}, ${engine}::"EngineKind", ${device}, ${threads}::int, ${runId}, clock_timestamp())
    ON CONFLICT (id) DO UPDATE SET "runId" = excluded."runId", "lastSeenAt" = excluded."lastSeenAt"`;
}

/** When it ends in order. */
export async function removeWorker({ database }: Deps, id: string): Promise<void> {
  await database.worker.deleteMany({ where: { id } });
}

/** Those that are not shown any more. */
export async function forgetWorkers({ database }: Deps): Promise<void> {
  await database.$executeRaw`
    DELETE FROM "Worker"
    WHERE "lastSeenAt" < clock_timestamp() - make_interval(secs => ${FORGOTTEN_AFTER_SECONDS}::float8)`;
}
