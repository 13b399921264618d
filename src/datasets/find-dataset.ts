import { badInput, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { idBeyond, readPage, type Page, type PageArguments } from '../infra/page.js';
import type { Dataset } from '../infra/prisma/client.js';

/** That version, or the latest one; null where there is none. */
export async function findDataset(
  { database }: { database: Database },
  name: string,
  version?: number | null,
): Promise<Dataset | null> {
  return database.dataset.findFirst({
    where: { name, ...(version != null && { version }) },
    orderBy: { version: 'desc' },
  });
}

/** The newest first. @throws BAD_USER_INPUT for a cursor of another kind */
export async function listDatasets({ database }: { database: Database }, page: PageArguments): Promise<Page<Dataset>> {
  return readPage(
    page,
    ({ take, place }) => database.dataset.findMany({ where: idBeyond(place), orderBy: { id: 'desc' }, take }),
    () => database.dataset.count(),
  );
}

const REFERENCE = /^([a-z0-9][a-z0-9._-]{0,62})(?:@([1-9]\d{0,8}))?$/;

/**
 * The READY data set that `name` (its latest READY version) or `name@version` means.
 * @param field the argument that holds the reference, for errors
 * @throws NOT_FOUND, BAD_USER_INPUT where it is not READY
 */
export async function resolveDataset(
  { database }: { database: Database },
  reference: string,
  field: string,
): Promise<Dataset> {
  const [, name, version] = REFERENCE.exec(reference) ?? [];
  if (name === undefined) throw badInput(field, `${reference} is neither a data set's name nor name@version`);
  const ready = version === undefined ? ({ status: 'READY' } as const) : { version: Number(version) };
  const dataset = await database.dataset.findFirst({ where: { name, ...ready }, orderBy: { version: 'desc' } });
  if (dataset?.status === 'READY') return dataset;
  const found = dataset ?? (version === undefined ? await findDataset({ database }, name) : null);
  if (!found) throw notFound(`there is no data set ${reference}`, field);
  throw badInput(field, `data set ${name}@${found.version} is ${found.status}, not READY`);
}
