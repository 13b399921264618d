import { parseReference, type Reference } from '../domain/reference.js';
import { notFound, type ResidualError } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { Artifact, Model, ModelVersion, Prisma } from '../infra/prisma/client.js';
import { wherePreferred, whereSelected } from './select-version.js';

export type ResolvedVersion = ModelVersion & {
  readonly model: Model;
  readonly artifacts: Artifact[];
  /** What was asked for is its network in eight bits, which it has. */
  readonly int8?: true;
};

/** Aliases that an error names. */
const MAX_LISTED = 20;

/**
 * The version that a reference (`name`, `name:3`, `name:latest`, `name@alias`) means now, with its model and artifacts.
 * @param field dotted path of the argument, for the errors
 * @throws BAD_USER_INPUT where the text is no reference, NOT_FOUND where it names nothing
 */
export async function resolveVersion(
  { database }: { database: Database },
  text: string,
  field = 'input.model',
): Promise<ResolvedVersion> {
  const reference = parseReference(text, field);
  const found = await findReferenced(database, reference);
  if (!found) throw await explainMissing(database, reference, field);
  return reference.int8 ? inEightBits(found, field) : found;
}

function inEightBits(version: ResolvedVersion, field: string): ResolvedVersion {
  if (version.artifacts.some(({ kind }) => kind === 'ONNX_INT8')) return { ...version, int8: true };
  const name = `${version.model.name}:${version.version}`;
  throw notFound(`${name} has no network in eight bits; the mutation quantizeVersion makes one`, field);
}

/** All of one moment, however aliases move and versions go meanwhile. */
function findReferenced(
  database: Database,
  { model: name, version, int8 }: Reference,
): Promise<ResolvedVersion | null> {
  return database.$transaction(
    async (transaction) => {
      const selected = version === 'preferred' ? await wherePreferred(transaction, { name }) : whereSelected(version);
      const newest = (more: Prisma.ModelVersionWhereInput = {}) =>
        transaction.modelVersion.findFirst({
          where: { model: { name }, ...selected, ...more },
          orderBy: { version: 'desc' },
          include: { model: true, artifacts: true },
        });
      // A new version is quantised some time after it is published; until then the latest that has eight bits serves.
      const quantized = int8 && (await newest({ artifacts: { some: { kind: 'ONNX_INT8' } } }));
      return quantized || newest();
    },
    { isolationLevel: 'RepeatableRead' },
  );
}

async function explainMissing(
  database: Database,
  { model: name, version }: Reference,
  field: string,
): Promise<ResidualError> {
  const model = await database.model.findUnique({
    where: { name },
    select: {
      versions: { select: { version: true }, orderBy: { version: 'desc' }, take: 1 },
      aliases: { select: { name: true }, orderBy: { name: 'asc' }, take: MAX_LISTED },
    },
  });
  if (model === null) return notFound(`there is no model ${name}`, field);
  const [newest] = model.versions;
  if (newest === undefined) return notFound(`model ${name} has no versions yet: train it first`, field);
  if (typeof version !== 'object')
    return notFound(`model ${name} has no version ${version}; its newest is ${newest.version}`, field);
  const there = model.aliases.length === 0 ? 'it has none' : `it has ${model.aliases.map((alias) => alias.name).join(', ')}`;
  return notFound(`model ${name} has no alias ${version.alias}; ${there}`, field);
}
