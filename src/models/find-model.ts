import { notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { idBeyond, readPage, type Page, type PageArguments } from '../infra/page.js';
import type { Model } from '../infra/prisma/client.js';

export function findModel({ database }: { database: Database }, name: string): Promise<Model | null> {
  return database.model.findUnique({ where: { name } });
}

/** @throws NOT_FOUND on `model` */
export async function requireModel(deps: { readonly database: Database }, name: string): Promise<Model> {
  const model = await findModel(deps, name);
  if (!model) throw notFound(`there is no model named ${name}`, 'model');
  return model;
}

/**
 * The newest first; `search` is a part of the name or of the description, in any case.
 * @throws BAD_USER_INPUT for a cursor of another kind
 */
export function listModels(
  { database }: { database: Database },
  { search, ...page }: PageArguments & { readonly search?: string | null | undefined },
): Promise<Page<Model>> {
  // Prisma hands these to LIKE as they are.
  const literal = (search ?? '').replace(/[\\%_]/g, '\\$&');
  const contains = { contains: literal, mode: 'insensitive' } as const;
  const where = search == null ? {} : { OR: [{ name: contains }, { description: contains }] };
  return readPage(
    page,
    ({ take, place }) =>
      database.model.findMany({ where: { ...where, ...idBeyond(place) }, orderBy: { id: 'desc' }, take }),
    () => database.model.count({ where }),
  );
}
