import { checkAlias } from '../domain/reference.js';
import { notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import { requireModel } from '../models/find-model.js';

/**
 * Takes an alias away; the version that it pointed at stays.
 * @throws BAD_USER_INPUT on `alias`, NOT_FOUND on `model` or `alias`
 */
export async function removeAlias(
  deps: { readonly database: Database },
  modelName: string,
  alias: string,
): Promise<true> {
  checkAlias(alias, 'alias');
  const model = await requireModel(deps, modelName);
  const { count } = await deps.database.modelAlias.deleteMany({ where: { modelId: model.id, name: alias } });
  if (count === 0) throw notFound(`model ${modelName} has no alias ${alias}`, 'alias');
  return true;
}
