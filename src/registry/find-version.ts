import { parseVersion } from '../domain/reference.js';
import type { Database } from '../infra/database.js';
import { readPage, type Page, type PageArguments } from '../infra/page.js';
import type { ModelVersion } from '../infra/prisma/client.js';
import { whereSelected } from './select-version.js';

/**
 * One version of a model, or null where there is none.
 * @param ref `3`, `latest` or an alias
 * @throws BAD_USER_INPUT on `ref`
 */
export async function findVersion(
  { database }: { database: Database },
  modelId: string,
  ref: string,
): Promise<ModelVersion | null> {
  return database.modelVersion.findFirst({
    where: { modelId, ...whereSelected(parseVersion(ref, 'ref')) },
    orderBy: { version: 'desc' },
  });
}

/** Of these versions, those that are there. */
export async function findExisting(
  { database }: { readonly database: Database },
  ids: readonly string[],
): Promise<ReadonlySet<string>> {
  const rows = await database.modelVersion.findMany({ where: { id: { in: [...ids] } }, select: { id: true } });
  return new Set(rows.map(({ id }) => id));
}

/** A model's versions, newest first. */
export async function listVersions(
  { database }: { database: Database },
  modelId: string,
  page: PageArguments,
): Promise<Page<ModelVersion>> {
  const where = { modelId };
  return readPage(
    page,
    (window) => database.modelVersion.findMany({ where, orderBy: { version: 'desc' }, ...window }),
    () => database.modelVersion.count({ where }),
  );
}
