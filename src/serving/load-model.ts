import { normalisationTables } from '../domain/normalisation.js';
import type { ServingSettings } from '../domain/serving-settings.js';
import type { ObjectStore } from '../infra/objects.js';
import type { ResolvedVersion } from '../registry/resolve.js';
import { Batcher, type BatchReport, type BatchRules } from './batcher.js';
import { estimateSessionBytes, Session } from './session.js';
import type { MapShape } from './session-thread.js';

/** A version in memory: its session, and the batcher that feeds it. */
export interface ServedModel {
  readonly batcher: Batcher;
  /** Of the class activation map behind each image's probabilities; null where the version's file has none. */
  readonly mapShape: MapShape;
  /** Answers what it has taken, then frees the memory. */
  release(): Promise<void>;
}

export interface LoadModelDependencies {
  readonly objects: ObjectStore;
  /** Threads that one batch computes with. */
  readonly threads: number;
  readonly onBatch: (batch: BatchReport) => void;
}

/**
 * Reads a version's ONNX file from the object store and makes it ready to answer.
 * @throws CorruptObjectError where the file does not have the hash that the version's row names
 */
export async function loadModel(
  { objects, threads, onBatch }: LoadModelDependencies,
  version: ResolvedVersion,
): Promise<ServedModel> {
  const { model, channelMean: mean, channelStd: std } = version;
  const onnx = objects.get(onnxArtifact(version).sha256);
  const session = await Session.open(onnx, { threads, tables: normalisationTables({ mean, std }) });
  const { height, width, channels } = model;
  const batcher = new Batcher({
    compute: (images, size) => session.run(images, size),
    imageLength: height * width * channels,
    ...batchRules(model),
    onBatch,
  });
  return {
    batcher,
    mapShape: session.mapShape,
    release: async () => {
      await batcher.stop();
      await session.release();
    },
  };
}

/** What a model's settings mean to its batcher. */
export const batchRules = ({ maxBatch, maxDelayMs, maxQueue }: ServingSettings): BatchRules => ({
  maxBatchImages: maxBatch,
  maxDelayMs,
  maxQueueImages: maxQueue,
});

/** Memory that `loadModel` will take. */
export const modelBytes = (version: ResolvedVersion): number =>
  estimateSessionBytes(Number(onnxArtifact(version).bytes));

const INT8 = '#int8';
/** What a version is known by in memory: its networks in float32 and in eight bits are apart. */
export const servedKey = ({ id, int8 }: Pick<ResolvedVersion, 'id' | 'int8'>) => (int8 ? `${id}${INT8}` : id);
/** What `servedKey` was made of. */
export const servedVersion = (key: string) => ({ versionId: key.replace(INT8, ''), int8: key.endsWith(INT8) });

function onnxArtifact({ model, version, artifacts, int8 }: ResolvedVersion) {
  const wanted = int8 ? 'ONNX_INT8' : 'ONNX';
  const artifact = artifacts.find(({ kind }) => kind === wanted);
  if (artifact === undefined) throw new Error(`${model.name}:${version} has no ${wanted} artifact`);
  return artifact;
}
