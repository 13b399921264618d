import { resolveDataset } from '../datasets/find-dataset.js';
import { badInput, conflict, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import {
  Prisma,
  type Artifact,
  type Dataset,
  type Model,
  type ModelVersion,
  type Quantization,
  type TrainingRun,
} from '../infra/prisma/client.js';
import type { JobQueue } from '../infra/queue.js';
import { requireModel } from '../models/find-model.js';

interface Deps {
  readonly database: Database;
  readonly queue: Pick<JobQueue, 'enqueue'>;
}

export interface QuantizationRequest {
  /** Its name. */
  readonly model: string;
  readonly version: number;
  /** `name` or `name@version`: what it is calibrated and evaluated by. Left out: what it was trained on. */
  readonly dataset?: string | null | undefined;
}

/**
 * Asks for a version's network in eight bits: a worker makes it, and the version's `quantization` tells how far that
 * is. Asked again it changes nothing, unless it failed: then it is tried once more.
 * @throws NOT_FOUND on `model`, `version`, `dataset`; BAD_USER_INPUT on `version`, `dataset`; CONFLICT on `dataset`
 *   where the version was quantised by another one
 */
export async function requestQuantization(deps: Deps, request: QuantizationRequest): Promise<ModelVersion> {
  const model = await requireModel(deps, request.model);
  const version = await findVersion(deps, model, request);
  const dataset = request.dataset == null ? null : await findCalibration(deps, model, request.dataset);
  const known = version.quantization;
  if (known && known.status !== 'FAILED') return sameRequest(version, known, dataset);
  const datasetId = dataset?.id ?? known?.datasetId ?? version.run?.datasetId;
  const name = `${model.name}:${version.version}`;
  if (datasetId == null) throw badInput('dataset', `${name} was trained elsewhere: name a data set to calibrate it by`);
  await write(deps, version.id, datasetId);
  // The row is the truth: with the queue away the version is quantised later.
  await deps.queue.enqueue('quantize-version', { v: 1, versionId: version.id }).catch(() => undefined);
  return version;
}

type FoundVersion = ModelVersion & {
  readonly artifacts: Artifact[];
  readonly run: TrainingRun | null;
  readonly quantization: Quantization | null;
};

async function findVersion(
  { database }: Deps,
  { id, name }: Model,
  { version }: QuantizationRequest,
): Promise<FoundVersion> {
  const found = await database.modelVersion.findUnique({
    where: { modelId_version: { modelId: id, version } },
    include: { artifacts: true, run: true, quantization: true },
  });
  if (!found) throw notFound(`model ${name} has no version ${version}`, 'version');
  if (!found.artifacts.some(({ kind }) => kind === 'SAFETENSORS'))
    throw badInput('version', `${name}:${version} has no safetensors artifact to quantise`);
  return found;
}

/** Its images are those of the network, and its classes as many. */
async function findCalibration(deps: Deps, model: Model, reference: string): Promise<Dataset> {
  const dataset = await resolveDataset(deps, reference, 'dataset');
  const name = `${dataset.name}@${dataset.version}`;
  const shapeOf = ({ height, width, channels }: Model | Dataset) => `${channels}x${height}x${width}`;
  if (shapeOf(dataset) !== shapeOf(model))
    throw badInput('dataset', `${name} has images of ${shapeOf(dataset)}, ${model.name} takes ${shapeOf(model)}`);
  const [has, takes] = [dataset.classNames.length, model.classNames.length];
  if (has !== takes) throw badInput('dataset', `${name} has ${has} classes, ${model.name} ${takes}`);
  return dataset;
}

function sameRequest(version: ModelVersion, known: Quantization, dataset: Dataset | null): ModelVersion {
  if (dataset && dataset.id !== known.datasetId)
    throw conflict('this version is quantised by another data set already', 'dataset');
  return version;
}

/** Where another request came first, that one's row stays. */
async function write({ database }: Deps, versionId: string, datasetId: string): Promise<void> {
  const fresh = { datasetId, status: 'PENDING', attempts: 0, failure: null, finishedAt: null } as const;
  const { count } = await database.quantization.updateMany({ where: { versionId, status: 'FAILED' }, data: fresh });
  if (count === 1) return;
  try {
    await database.quantization.create({ data: { versionId, datasetId } });
  } catch (error) {
    const code = error instanceof Prisma.PrismaClientKnownRequestError ? error.code : undefined;
    if (code === 'P2003') throw notFound('the version or the data set was deleted meanwhile', 'version');
    if (code !== 'P2002') throw error;
  }
}
