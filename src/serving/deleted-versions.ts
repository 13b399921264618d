import { notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { findExisting } from '../registry/find-version.js';
import type { ResolvedVersion } from '../registry/resolve.js';
import { loadModel, servedVersion, type LoadModelDependencies, type ServedModel } from './load-model.js';
import type { ModelCache } from './model-cache.js';

/** Serving is not told that a version was deleted: it finds out when it loads it, or when it looks. */

interface Deps {
  readonly database: Database;
}

/**
 * As `loadModel`. A reference that was looked up a moment ago may mean a version whose object went with it.
 * @throws NOT_FOUND on `field` where the version was deleted
 */
export async function loadUnlessDeleted(
  deps: Deps & LoadModelDependencies,
  version: ResolvedVersion,
  field: string,
): Promise<ServedModel> {
  try {
    return await loadModel(deps, version);
  } catch (error) {
    // Where this cannot be looked up either, the first failure is the one to tell of.
    const there = await findExisting(deps, [version.id]).catch(() => new Set([version.id]));
    if (there.has(version.id)) throw error;
    throw notFound(`${version.model.name}:${version.version} was deleted`, field);
  }
}

/** Requests under way are answered first. */
export async function discardDeleted(deps: Deps, models: ModelCache<ServedModel>): Promise<void> {
  const loaded = models.states().flatMap(({ key, state }) => (state === 'READY' ? key : []));
  if (loaded.length === 0) return;
  const idOf = (key: string) => servedVersion(key).versionId;
  const there = await findExisting(deps, loaded.map(idOf));
  for (const key of loaded) if (!there.has(idOf(key))) models.discard(key, 'the version was deleted');
}
