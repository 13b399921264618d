import { openDataset } from '../datasets/read-dataset.js';
import type { NetworkDefinition } from '../domain/network/definition.js';
import { buildGraph } from '../domain/network/layers.js';
import { isOutage } from '../errors.js';
import { SafetensorsError } from '../formats/safetensors.js';
import { checkStateDict, decodeStateDict } from '../formats/state-dict.js';
import { OnnxError } from '../formats/onnx.js';
import type { Database, Transaction } from '../infra/database.js';
import { holdObjects, noteIn, storeUntilNamed, takeBackNotes } from '../infra/dropped-objects.js';
import { CorruptObjectError, type ObjectStore } from '../infra/objects.js';
import type { Artifact, Dataset, ModelVersion, Prisma, Quantization } from '../infra/prisma/client.js';
import { CalibrationError } from './calibrate.js';
import type { OpenOnnx } from './inference.js';
import { quantizeNetwork, type QuantizedNetwork } from './quantize-network.js';

export interface QuantizationDeps {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly dataDir: string;
  readonly open: OpenOnnx;
}

/** A version whose quantisation ends its worker, or fails for no known reason, this often is given up. */
const MAX_ATTEMPTS = 5;

/** What failed will fail again: no other attempt would help. */
const PERMANENT = [CorruptObjectError, SafetensorsError, OnnxError, CalibrationError];

/**
 * What the job `quantize-version` does: makes the eight-bit artifact of a version that is PENDING. May be broken off at
 * any moment, repeated, and done twice at once: the object goes by its hash, the row changes by compare-and-set.
 * @returns whether it is SUCCEEDED by this call
 * @throws where a server is away, `signal` aborts, or another attempt may help: nothing is decided then
 */
export async function quantizeVersion(
  deps: QuantizationDeps,
  versionId: string,
  signal: AbortSignal,
): Promise<boolean> {
  const row = await deps.database.quantization.findUnique({
    where: { versionId },
    include: { version: { include: { artifacts: true } }, dataset: true },
  });
  if (row?.status !== 'PENDING') return false;
  if (row.attempts >= MAX_ATTEMPTS) {
    await fail(deps, versionId, row.failure ?? `it ended the process that computed it, ${MAX_ATTEMPTS} times`);
    return false;
  }
  await count(deps, versionId, 1);
  try {
    const network = await compute(deps, row, signal);
    return await publish(deps, row, network);
  } catch (error) {
    await conclude(deps, versionId, error, signal);
    return false;
  }
}

type Row = Quantization & {
  readonly version: ModelVersion & { readonly artifacts: Artifact[] };
  readonly dataset: Dataset | null;
};

async function compute(
  deps: QuantizationDeps,
  { version, dataset }: Row,
  signal: AbortSignal,
): Promise<QuantizedNetwork> {
  const { classNames, channelMean: mean, channelStd: std } = version;
  if (!dataset) throw new CalibrationError('the data set that it was to be calibrated by was deleted');
  const weights = version.artifacts.find(({ kind }) => kind === 'SAFETENSORS');
  if (!weights) throw new CalibrationError('the version has no safetensors artifact');
  const graph = buildGraph(version.definition as unknown as NetworkDefinition);
  const tensors = decodeStateDict(await deps.objects.get(weights.sha256));
  checkStateDict(graph, tensors);
  const data = await openDataset(deps, { sha256: dataset.sha256! });
  try {
    return await quantizeNetwork(deps.open, { graph, tensors }, { classNames, mean, std }, data, signal);
  } finally {
    data.close();
  }
}

/** The object first, noted before, then the rows: a crash between the two leaves a note by which it is removed. */
function publish(
  { database, objects }: QuantizationDeps,
  { versionId, version: { modelId } }: Row,
  { onnx, evaluation }: QuantizedNetwork,
): Promise<boolean> {
  return storeUntilNamed(async () => {
    const object = await objects.putBytes(onnx, noteIn(database));
    return database.$transaction(async (transaction) => {
      await holdObjects(transaction, objects, [object.sha256]);
      await holdVersion(transaction, versionId, modelId);
      const { count: claimed } = await transaction.quantization.updateMany({
        where: { versionId, status: 'PENDING' },
        data: {
          status: 'SUCCEEDED',
          evaluation: evaluation as unknown as Prisma.InputJsonObject,
          failure: null,
          finishedAt: new Date(),
        },
      });
      // Another worker was faster, or the version is gone.
      if (claimed === 0) return false;
      await transaction.artifact.create({ data: { versionId, kind: 'ONNX_INT8', ...object } });
      await takeBackNotes(transaction, [object.sha256]);
      return true;
    });
  });
}

/** Who deletes the one or the other comes before, or sees the artifact; in the order in which they take the rows. */
async function holdVersion(transaction: Transaction, versionId: string, modelId: string): Promise<void> {
  await transaction.$queryRaw`SELECT id FROM "Model" WHERE id = ${modelId} FOR KEY SHARE`;
  await transaction.$queryRaw`SELECT id FROM "ModelVersion" WHERE id = ${versionId} FOR KEY SHARE`;
}

async function conclude(deps: QuantizationDeps, versionId: string, error: unknown, signal: AbortSignal): Promise<void> {
  if (signal.aborted || isOutage(error)) {
    // No fault of the version's.
    await count(deps, versionId, -1).catch(() => undefined);
    throw error;
  }
  const failure = error instanceof Error ? error.message : String(error);
  if (PERMANENT.some((kind) => error instanceof kind)) return fail(deps, versionId, failure);
  await deps.database.quantization.updateMany({ where: { versionId, status: 'PENDING' }, data: { failure } });
  throw error;
}

async function count({ database }: QuantizationDeps, versionId: string, by: 1 | -1): Promise<void> {
  const where = { versionId, status: 'PENDING' } as const;
  await database.quantization.updateMany({ where, data: { attempts: { increment: by } } });
}

async function fail({ database }: QuantizationDeps, versionId: string, failure: string): Promise<void> {
  await database.quantization.updateMany({
    where: { versionId, status: 'PENDING' },
    data: { status: 'FAILED', failure, finishedAt: new Date() },
  });
}
