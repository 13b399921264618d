import type { Evaluation } from '../domain/evaluation.js';
import type { NetworkDefinition } from '../domain/network/definition.js';
import { notFound } from '../errors.js';
import type { Transaction } from '../infra/database.js';
import type { StoredObject } from '../infra/objects.js';
import type { ArtifactKind, ModelVersion, Prisma } from '../infra/prisma/client.js';

export interface NewVersion {
  /** The run that made it; null for imported weights. */
  readonly runId: string | null;
  readonly modelId: string;
  readonly definition: NetworkDefinition;
  readonly classNames: readonly string[];
  /** Of pixels scaled to [0, 1], a value per channel: what an image is normalised by before it enters the network. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  readonly evaluation: Evaluation | null;
  /** Stored already: a version never names an object that is not there. */
  readonly artifacts: readonly (StoredObject & { readonly kind: ArtifactKind })[];
}

/**
 * Gives the model its next version, as part of the caller's transaction. A run publishes once.
 * @throws NOT_FOUND where the model was deleted meanwhile
 */
export async function publishVersion(transaction: Transaction, version: NewVersion): Promise<ModelVersion> {
  const number = await nextNumber(transaction, version.modelId);
  return transaction.modelVersion.create({
    data: {
      modelId: version.modelId,
      version: number,
      runId: version.runId,
      definition: asJson(version.definition),
      classNames: [...version.classNames],
      channelMean: [...version.mean],
      channelStd: [...version.std],
      ...(version.evaluation && { evaluation: asJson(version.evaluation) }),
      artifacts: { create: version.artifacts.map(({ kind, sha256, bytes }) => ({ kind, sha256, bytes })) },
    },
  });
}

/** Never one that was given before. */
async function nextNumber(transaction: Transaction, modelId: string): Promise<number> {
  // Versions of a model are numbered one at a time.
  await transaction.$queryRaw`SELECT id FROM "Model" WHERE id = ${modelId} FOR UPDATE`;
  // During an update a process of before may publish beside us, which does not count.
  const [model] = await transaction.$queryRaw<{ lastVersion: number }[]>`
    UPDATE "Model" SET "lastVersion" = 1 + GREATEST("lastVersion",
      (SELECT max(version) FROM "ModelVersion" WHERE "modelId" = ${modelId}))
    WHERE id = ${modelId} RETURNING "lastVersion"`;
  if (model === undefined) throw notFound('the model was deleted meanwhile', 'model');
  return model.lastVersion;
}

const asJson = (value: object) => JSON.parse(JSON.stringify(value)) as Prisma.InputJsonObject;
