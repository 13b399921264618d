import { notFound } from '../errors.js';
import type { Transaction } from '../infra/database.js';
import type { ResolvedWeights } from './resolve-weights.js';

/**
 * For a transaction that has recorded runs which start from a version's weights: until its end nobody deletes these
 * versions, and who deletes them later sees the runs.
 * @throws NOT_FOUND on `field` where one was deleted before
 */
export async function holdWeights(
  transaction: Transaction,
  weights: readonly ResolvedWeights[],
  field: string,
): Promise<void> {
  const ids = [...new Set(weights.map(({ versionId }) => versionId))];
  if (ids.length === 0) return;
  const held = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM "ModelVersion" WHERE id = ANY(${ids}) ORDER BY id FOR KEY SHARE`;
  const gone = weights.find(({ versionId }) => held.every(({ id }) => id !== versionId));
  if (gone !== undefined) throw notFound(`${gone.reference} was deleted meanwhile`, field);
}
