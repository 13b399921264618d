import type { NetworkDefinition } from '../domain/network/definition.js';
import { badInput, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { resolveVersion, type ResolvedVersion } from './resolve.js';

/** A version's weights, as a run can start from them. */
export interface ResolvedWeights {
  /** `name:3`: what the reference meant when it was resolved. */
  readonly reference: string;
  /** Of the version's safetensors artifact. */
  readonly sha256: string;
  readonly versionId: string;
  /** The network that they belong to. */
  readonly definition: NetworkDefinition;
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Longer than a model's name may be. */
const SHA256 = /^[0-9a-f]{64}$/;

/**
 * The weights that a reference means: `name`, `name:3`, `name:latest`, `name@alias`, or the id or SHA-256 of an
 * artifact, of which any kind stands for its version.
 * @throws BAD_USER_INPUT, NOT_FOUND on `field`
 */
export async function resolveWeights(
  { database }: { readonly database: Database },
  text: string,
  field: string,
): Promise<ResolvedWeights> {
  const version = (await versionOfArtifact(database, text, field)) ?? (await resolveVersion({ database }, text, field));
  if (version.int8) throw badInput(field, 'training starts from float32 weights: leave out #int8');
  const reference = `${version.model.name}:${version.version}`;
  const weights = version.artifacts.find(({ kind }) => kind === 'SAFETENSORS');
  if (!weights) throw badInput(field, `${reference} has no safetensors artifact to start from`);
  const definition = version.definition as unknown as NetworkDefinition;
  return { reference, sha256: weights.sha256, versionId: version.id, definition };
}

async function versionOfArtifact(database: Database, text: string, field: string): Promise<ResolvedVersion | null> {
  if (!UUID.test(text) && !SHA256.test(text)) return null;
  const found = await database.modelVersion.findFirst({
    where: { artifacts: { some: SHA256.test(text) ? { sha256: text } : { id: text } } },
    orderBy: { createdAt: 'desc' },
    include: { model: true, artifacts: true },
  });
  if (!found && SHA256.test(text)) throw notFound(`there is no artifact with the hash ${text}`, field);
  return found;
}
