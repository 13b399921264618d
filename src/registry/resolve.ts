import { parseReference, type Reference } from '../domain/reference.js';
import { notFound, type ResidualError } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Artifact, Model, ModelVersion } from '../infra/prisma/client.js';

export type ResolvedVersion = ModelVersion & { readonly model: Model; readonly artifacts: Artifact[] };

/**
 * The version that a reference (`name`, `name:3`, `name:latest`) means now, with its model and artifacts.
 * @param field dotted path of the argument, for the errors
 * @throws BAD_USER_INPUT where the text is no reference, NOT_FOUND where it names nothing
 */
export async function resolveVersion(
  { database }: { database: Database },
  text: string,
  field = 'input.model',
): Promise<ResolvedVersion> {
  const reference = parseReference(text, field);
  const found = await database.modelVersion.findFirst({
    where: {
      model: { name: reference.model },
      ...(reference.version !== 'latest' && { version: reference.version }),
    },
    orderBy: { version: 'desc' },
    include: { model: true, artifacts: true },
  });
  return found ?? Promise.reject(await explainMissing(database, reference, field));
}

async function explainMissing(
  database: Database,
  { model: name, version }: Reference,
  field: string,
): Promise<ResidualError> {
  const model = await database.model.findUnique({
    where: { name },
    select: { versions: { select: { version: true }, orderBy: { version: 'desc' }, take: 1 } },
  });
  if (model === null) return notFound(`there is no model ${name}`, field);
  const [newest] = model.versions;
  if (newest === undefined) return notFound(`model ${name} has no versions yet: train it first`, field);
  return notFound(`model ${name} has no version ${version}; its newest is ${newest.version}`, field);
}
