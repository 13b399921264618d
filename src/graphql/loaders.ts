import DataLoader from 'dataloader';
import { ResidualError, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Artifact, EpochMetric, Prisma } from '../infra/prisma/client.js';

export type Loaders = ReturnType<typeof createLoaders>;

/** An artifact, and whose it is. */
export type NamedArtifact = Artifact & {
  readonly version: { readonly version: number; readonly model: { readonly name: string } };
};

/** Of one batch. A query does not show how many a sweep has, up to a thousand, and each of them leads back to all. */
const MAX_SWEEP_RUNS = 20_000;

/**
 * Rows that join two folders, read in batches: a list of n runs asks for its models once. Nothing is remembered, since
 * a subscription lives on while the rows change.
 */
export function createLoaders(database: Database) {
  return {
    model: parentByKey((ids) => database.model.findMany({ where: { id: { in: ids } } }), 'model'),
    dataset: parentByKey((ids) => database.dataset.findMany({ where: { id: { in: ids } } }), 'data set'),
    run: byKey((ids) => database.trainingRun.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    sweep: byKey((ids) => database.sweep.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    version: byKey((ids) => database.modelVersion.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    versionOfRun: byKey((ids) => database.modelVersion.findMany({ where: { runId: { in: ids } } }), (row) => row.runId),
    quantization: byKey(
      (ids) => database.quantization.findMany({ where: { versionId: { in: ids } } }),
      (row) => row.versionId,
    ),
    artifacts: listByKey(
      (ids) =>
        ofOneMoment(
          database,
          database.artifact.findMany({
            where: { versionId: { in: ids } },
            orderBy: { kind: 'asc' },
            include: { version: { select: { version: true, model: { select: { name: true } } } } },
          }),
        ),
      (row) => row.versionId,
    ),
    aliases: listByKey(
      (ids) =>
        ofOneMoment(
          database,
          database.modelAlias.findMany({
            where: { modelId: { in: ids } },
            orderBy: { name: 'asc' },
            include: { version: true },
          }),
        ),
      (row) => row.modelId,
    ),
    aliasesOfVersion: listByKey(
      (ids) => database.modelAlias.findMany({ where: { versionId: { in: ids } }, orderBy: { name: 'asc' } }),
      (row) => row.versionId,
    ),
    checkpoints: listByKey(
      (ids) => database.checkpoint.findMany({ where: { runId: { in: ids } }, orderBy: { step: 'desc' } }),
      (row) => row.runId,
    ),
    history: listByKey(
      (ids) => database.epochMetric.findMany({ where: { runId: { in: ids } }, orderBy: { epoch: 'asc' } }),
      (row) => row.runId,
    ),
    runsOfSweep: listByKey(
      (ids) =>
        database.trainingRun.findMany({
          where: { sweepId: { in: ids } },
          orderBy: { trial: 'asc' },
          take: MAX_SWEEP_RUNS + 1,
        }),
      (row) => row.sweepId,
      MAX_SWEEP_RUNS,
    ),
    recentHistory: loader((keys: readonly Recent[]) => readRecent(database, keys)),
  };
}

/** A run's last epochs, so many. */
interface Recent {
  readonly runId: string;
  readonly last: number;
}

/** Each list by epoch. */
async function readRecent(database: Database, keys: readonly Recent[]): Promise<EpochMetric[][]> {
  const most = Math.max(...keys.map(({ last }) => last));
  const rows = await database.$queryRaw<EpochMetric[]>`
    SELECT recent.* FROM unnest(${unique(keys.map(({ runId }) => runId))}::text[]) AS run(id)
    CROSS JOIN LATERAL
      (SELECT * FROM "EpochMetric" WHERE "runId" = run.id ORDER BY epoch DESC LIMIT ${most}::int) AS recent
    ORDER BY recent.epoch`;
  return keys.map(({ runId, last }) => rows.filter((row) => row.runId === runId).slice(-last));
}

/** Where Prisma asks once per table, a row that is named may otherwise be gone by the next question. */
async function ofOneMoment<T>(database: Database, query: Prisma.PrismaPromise<T>): Promise<T> {
  const [rows] = await database.$transaction([query], { isolationLevel: 'RepeatableRead' });
  return rows;
}

type Key<T> = (row: T) => string | null;

function byKey<T>(read: (keys: string[]) => PromiseLike<T[]>, keyOf: Key<T>): DataLoader<string, T | null> {
  return loader(async (keys) => {
    const rows = new Map((await read(unique(keys))).map((row) => [keyOf(row), row]));
    return keys.map((key) => rows.get(key) ?? null);
  });
}

/** Rows that others name: one that is missing was deleted, and those with it, since these were read. */
function parentByKey<T extends { readonly id: string }>(read: (keys: string[]) => PromiseLike<T[]>, what: string) {
  const loadRow = byKey(read, ({ id }) => id);
  const missing = () => notFound(`the ${what} was deleted meanwhile`);
  return loader<T>(async (keys) => (await loadRow.loadMany(keys)).map((row) => row ?? missing()));
}

/** @param most rows of all lists of a batch together, one that is asked for twice counting twice */
function listByKey<T>(
  read: (keys: string[]) => PromiseLike<T[]>,
  keyOf: Key<T>,
  most = Infinity,
): DataLoader<string, T[]> {
  return loader(async (keys) => {
    const rows = new Map<string | null, T[]>(keys.map((key) => [key, []]));
    for (const row of await read(unique(keys))) rows.get(keyOf(row))?.push(row);
    const lists = keys.map((key) => rows.get(key) ?? []);
    if (lists.reduce((sum, { length }) => sum + length, 0) > most) throw tooMany(most);
    return lists;
  });
}

const tooMany = (most: number) =>
  new ResidualError('QUERY_TOO_COMPLEX', `the query asks for more than ${most} rows of one kind at once`, 'query');

function loader<T, K = string>(load: (keys: readonly K[]) => Promise<(T | Error)[]>): DataLoader<K, T> {
  return new DataLoader(load, { cache: false });
}

const unique = (keys: readonly string[]) => [...new Set(keys)];
