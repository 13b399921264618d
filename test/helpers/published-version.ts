import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import { initialTensors } from '../../src/domain/network/initialise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { encodeOnnx } from '../../src/formats/onnx.js';
import type { Database } from '../../src/infra/database.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import type { Model, ModelVersion } from '../../src/infra/prisma/client.js';
import { defineModel } from '../../src/models/define-model.js';
import { publishVersion } from '../../src/registry/publish-version.js';

export interface PublishedVersion {
  readonly model: Model;
  readonly version: ModelVersion;
  readonly onnx: Uint8Array;
  readonly sha256: string;
}

export const NORMALISATION = { grey: { mean: [0.3], std: [0.35] }, rgb: { mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] } };

/** A small network as a model: ten classes, 3x32x32 or 1x28x28. */
export function defineSmallModel(database: Database, name: string, channels: 1 | 3 = 3): Promise<Model> {
  const side = channels === 1 ? 28 : 32;
  return defineModel(
    { database },
    {
      name,
      preset: 'RESNET20',
      architecture: { stages: [{ blocks: 1, width: 16, stride: 1 }, { blocks: 1, width: 32, stride: 2 }] },
      inputShape: { height: side, width: side, channels },
      classNames: Array.from({ length: 10 }, (_, index) => `class ${index}`),
    },
  );
}

/** The next version of a model with random weights, its ONNX file in the store. */
export async function publishRandomVersion(
  { database, objects }: { database: Database; objects: ObjectStore },
  model: Model,
  seed: number,
): Promise<PublishedVersion> {
  const definition = model.definition as unknown as NetworkDefinition;
  const graph = buildGraph(definition);
  const { classNames } = model;
  const normalisation = model.channels === 1 ? NORMALISATION.grey : NORMALISATION.rgb;
  const onnx = encodeOnnx(graph, initialTensors(graph, definition, seed), { classNames, ...normalisation });
  const object = await objects.putBytes(onnx);
  const version = await publishVersion(database, {
    runId: null,
    modelId: model.id,
    definition,
    classNames,
    ...normalisation,
    evaluation: null,
    artifacts: [{ kind: 'ONNX', ...object }],
  });
  return { model, version, onnx, sha256: object.sha256 };
}
