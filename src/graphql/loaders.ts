import DataLoader from 'dataloader';
import type { Database } from '../infra/database.js';

export type Loaders = ReturnType<typeof createLoaders>;

/**
 * Rows that join two folders, read in batches: a list of n runs asks for its models once. Nothing is remembered, since
 * a subscription lives on while the rows change.
 */
export function createLoaders(database: Database) {
  return {
    model: byKey((ids) => database.model.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    dataset: byKey((ids) => database.dataset.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    run: byKey((ids) => database.trainingRun.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    sweep: byKey((ids) => database.sweep.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    version: byKey((ids) => database.modelVersion.findMany({ where: { id: { in: ids } } }), (row) => row.id),
    versionOfRun: byKey((ids) => database.modelVersion.findMany({ where: { runId: { in: ids } } }), (row) => row.runId),
    artifacts: listByKey(
      (ids) => database.artifact.findMany({ where: { versionId: { in: ids } }, orderBy: { kind: 'asc' } }),
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
  };
}

type Key<T> = (row: T) => string | null;

function byKey<T>(read: (keys: string[]) => PromiseLike<T[]>, keyOf: Key<T>): DataLoader<string, T | null> {
  return loader(async (keys) => {
    const rows = new Map((await read(unique(keys))).map((row) => [keyOf(row), row]));
    return keys.map((key) => rows.get(key) ?? null);
  });
}

function listByKey<T>(read: (keys: string[]) => PromiseLike<T[]>, keyOf: Key<T>): DataLoader<string, T[]> {
  return loader(async (keys) => {
    const rows = new Map<string | null, T[]>(keys.map((key) => [key, []]));
    for (const row of await read(unique(keys))) rows.get(keyOf(row))?.push(row);
    return keys.map((key) => rows.get(key) ?? []);
  });
}

function loader<T>(load: (keys: readonly string[]) => Promise<T[]>): DataLoader<string, T> {
  return new DataLoader(load, { cache: false });
}

const unique = (keys: readonly string[]) => [...new Set(keys)];
