import type { ObjectStore } from '../infra/objects.js';
import type { ResolvedVersion } from '../registry/resolve.js';
import { Batcher, type BatchReport } from './batcher.js';
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
  const onnx = await objects.get(onnxArtifact(version).sha256);
  const session = await Session.open(onnx, { threads });
  const { height, width, channels } = version.model;
  const batcher = new Batcher({
    compute: (inputs, size) => session.run(inputs, size),
    imageLength: height * width * channels,
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

/** Memory that `loadModel` will take. */
export const modelBytes = (version: ResolvedVersion): number =>
  estimateSessionBytes(Number(onnxArtifact(version).bytes));

function onnxArtifact({ model, version, artifacts }: ResolvedVersion) {
  const artifact = artifacts.find(({ kind }) => kind === 'ONNX');
  if (artifact === undefined) throw new Error(`${model.name}:${version} has no ONNX artifact`);
  return artifact;
}
