import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import type { NetworkDefinition } from '../domain/network/definition.js';
import type { TensorMap } from '../domain/network/graph.js';
import { buildGraph } from '../domain/network/layers.js';
import type { Normalisation } from '../domain/normalisation.js';
import {
  ForeignWeightsError,
  matchWeights,
  normalisationOf,
  toFloat32,
  type ForeignWeights,
} from '../formats/foreign-weights.js';
import { encodeOnnx, OnnxError } from '../formats/onnx.js';
import {
  readSafetensorsIndex,
  SafetensorsError,
  safetensorsIndexBytes,
  type PlacedTensor,
  type SafetensorsIndex,
} from '../formats/safetensors.js';
import { encodeStateDict } from '../formats/state-dict.js';
import { encodeTfjs } from '../formats/tfjs.js';
import type { ArtifactKind } from '../infra/prisma/client.js';

/**
 * Turns a file of foreign weights into a version's artifacts. It converts and copies up to gigabytes at a stretch,
 * hence in a thread of its own, which `import-weights.ts` starts with a `Conversion` and which answers once.
 */
export interface Conversion {
  /** The uploaded safetensors file. */
  readonly source: string;
  /** Where the artifacts go, each under its kind. */
  readonly folder: string;
  readonly definition: NetworkDefinition;
  readonly classNames: readonly string[];
}

/** `problem`: what is wrong with the uploaded file, for the one who sent it. */
export type Converted =
  | ({ readonly kind: 'converted'; readonly artifacts: readonly ArtifactKind[] } & Normalisation)
  | { readonly kind: 'refused'; readonly problem: string };

if (!isMainThread) parentPort!.postMessage(answer(workerData as Conversion));

function answer(conversion: Conversion): Converted {
  try {
    return { kind: 'converted', ...convertWeights(conversion) };
  } catch (error) {
    const refused = [SafetensorsError, ForeignWeightsError, OnnxError].some((kind) => error instanceof kind);
    if (!refused) throw error;
    return { kind: 'refused', problem: (error as Error).message };
  }
}

/** @throws SafetensorsError, ForeignWeightsError, OnnxError for what is wrong with the file. */
function convertWeights({ source, folder, definition, classNames }: Conversion) {
  const graph = buildGraph(definition);
  const file = openSync(source, 'r');
  try {
    const index = readIndex(file);
    const weights = matchWeights(graph, index);
    const { mean, std } = normalisationOf(index.metadata, definition.inputShape.channels);
    const tensors: TensorMap = new Map();
    for (const [name, tensor] of weights.tensors) tensors.set(name, toFloat32(tensor, readTensor(file, tensor)));
    const artifacts: ArtifactKind[] = [];
    const write = (kind: ArtifactKind, content: Uint8Array | null | undefined) => {
      if (!content) return;
      writeFileSync(path.join(folder, kind), content);
      artifacts.push(kind);
    };
    write('ONNX', encodeOnnx(graph, tensors, { classNames, mean, std }));
    const metadata = { class_names: JSON.stringify(classNames), mean: JSON.stringify(mean), std: JSON.stringify(std) };
    write('SAFETENSORS', encodeStateDict(graph, tensors, batchesTracked(file, weights), metadata));
    write('TFJS', encodeTfjs(graph, tensors, { classNames, mean, std }));
    return { artifacts, mean, std };
  } finally {
    closeSync(file);
  }
}

function readIndex(file: number): SafetensorsIndex {
  const { size } = fstatSync(file);
  const headBytes = safetensorsIndexBytes(readAt(file, 0, Math.min(8, size)));
  if (headBytes > size) throw new SafetensorsError('the header is cut short');
  const index = readSafetensorsIndex(readAt(file, 0, headBytes));
  if (index.totalBytes !== size)
    throw new SafetensorsError(`${size} bytes, where the header tells of ${index.totalBytes}`);
  return index;
}

function readTensor(file: number, { start, bytes }: PlacedTensor): Buffer {
  return readAt(file, start, bytes);
}

/** How many batches the running statistics have seen; 0 where the file does not say. */
function batchesTracked(file: number, { batchesTracked: tensor }: ForeignWeights): number {
  if (tensor?.bytes !== 8) return 0;
  const count = Number(readTensor(file, tensor).readBigInt64LE());
  return Number.isSafeInteger(count) && count > 0 ? count : 0;
}

function readAt(file: number, position: number, length: number): Buffer {
  const content = Buffer.allocUnsafe(length);
  let filled = 0;
  while (filled < length) {
    const read = readSync(file, content, filled, length - filled, position + filled);
    if (read === 0) throw new SafetensorsError('the file is cut short');
    filled += read;
  }
  return content;
}
