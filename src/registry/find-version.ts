import { parseVersion } from '../domain/reference.js';
import type { Database } from '../infra/database.js';
import { readPage, type Page, type PageArguments } from '../infra/page.js';
import type { ModelVersion } from '../infra/prisma/client.js';

/**
 * One version of a model, or null where there is none.
 * @param ref `3` or `latest`
 * @throws BAD_USER_INPUT on `ref`
 */
export async function findVersion(
  { database }: { database: Database },
  modelId: string,
  ref: string,
): Promise<ModelVersion | null> {
  const version = parseVersion(ref, 'ref');
  return database.modelVersion.findFirst({
    where: { modelId, ...(version !== 'latest' && { version }) },
    orderBy: { version: 'desc' },
  });
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
