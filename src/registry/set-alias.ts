import { checkAlias } from '../domain/reference.js';
import { notFound } from '../errors.js';
import type { Database, Transaction } from '../infra/database.js';
import type { ModelAlias, ModelVersion } from '../infra/prisma/client.js';

/** An alias with the version that it points at. */
export type PointedAlias = ModelAlias & { readonly version: ModelVersion };

/**
 * Lets an alias point at a version, wherever it pointed before; whoever reads it sees the old version or the new one.
 * @throws BAD_USER_INPUT on `alias`, NOT_FOUND on `model` or `version`
 */
export async function setAlias(
  { database }: { readonly database: Database },
  modelName: string,
  alias: string,
  version: number,
): Promise<PointedAlias> {
  checkAlias(alias, 'alias');
  return database.$transaction(async (transaction) => {
    // The model first, as who deletes it does: so neither waits for the other for ever.
    const [model] = await transaction.$queryRaw<{ id: string }[]>`
      SELECT id FROM "Model" WHERE name = ${modelName} FOR KEY SHARE`;
    if (model === undefined) throw notFound(`there is no model named ${modelName}`, 'model');
    const target = await holdVersion(transaction, model.id, version);
    if (target === null) throw notFound(`model ${modelName} has no version ${version}`, 'version');
    const [pointed] = await transaction.$queryRaw<ModelAlias[]>`
      INSERT INTO "ModelAlias" ("modelId", name, "versionId", "updatedAt")
      VALUES (${model.id}, ${alias}, ${target.id}, clock_timestamp())
      ON CONFLICT ("modelId", name)
      DO UPDATE SET "versionId" = excluded."versionId", "updatedAt" = excluded."updatedAt"
      RETURNING *`;
    return { ...pointed!, version: target };
  });
}

/** The version, which stays until the transaction ends. */
async function holdVersion(transaction: Transaction, modelId: string, version: number): Promise<ModelVersion | null> {
  const held = await transaction.$queryRaw<{ id: string }[]>`
    SELECT id FROM "ModelVersion" WHERE "modelId" = ${modelId} AND version = ${version} FOR KEY SHARE`;
  return held[0] === undefined ? null : transaction.modelVersion.findUnique({ where: { id: held[0].id } });
}
