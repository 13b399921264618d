import type { Evaluation } from '../domain/evaluation.js';
import type { NetworkDefinition } from '../domain/network/definition.js';
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

/** Gives the model its next version, as part of the caller's transaction. A run publishes once. */
export async function publishVersion(transaction: Transaction, version: NewVersion): Promise<ModelVersion> {
  // Versions of a model are numbered one at a time.
  await transaction.$queryRaw`SELECT id FROM "Model" WHERE id = ${version.modelId} FOR UPDATE`;
  const { _max: last } = await transaction.modelVersion.aggregate({
    where: { modelId: version.modelId },
    _max: { version: true },
  });
  return transaction.modelVersion.create({
    data: {
      modelId: version.modelId,
      version: (last.version ?? 0) + 1,
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

const asJson = (value: object) => JSON.parse(JSON.stringify(value)) as Prisma.InputJsonObject;
