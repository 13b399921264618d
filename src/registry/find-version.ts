import { parseVersion } from '../domain/reference.js';
import type { Database } from '../infra/database.js';
import { beyond, readPage, type Page, type PageArguments } from '../infra/page.js';
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

const PLACE = /^VERSION:(\d{1,9})$/;

/** A model's versions, newest first. @throws BAD_USER_INPUT for a cursor of another list */
export async function listVersions(
  { database }: { database: Database },
  modelId: string,
  page: PageArguments,
): Promise<Page<ModelVersion>> {
  const where = { modelId };
  const found = await readPage(
    page,
    ({ take, place }) =>
      database.modelVersion.findMany({
        where: { ...where, ...(place && { version: beyond(place, 'desc', PLACE, Number) }) },
        orderBy: { version: 'desc' },
        take,
      }),
    () => database.modelVersion.count({ where }),
  );
  return { ...found, placeOf: ({ version }) => `VERSION:${version}` };
}
