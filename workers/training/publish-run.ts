import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import { encodeOnnx } from '../../src/formats/onnx.js';
import { encodeStateDict } from '../../src/formats/state-dict.js';
import { encodeTfjs } from '../../src/formats/tfjs.js';
import type { Database, Transaction } from '../../src/infra/database.js';
import { holdObjects, noteIn, storeUntilNamed, takeBackNotes } from '../../src/infra/dropped-objects.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import type { ModelVersion } from '../../src/infra/prisma/client.js';
import { wantQuantization } from '../../src/quantization/want-quantization.js';
import { publishVersion, type NewVersion } from '../../src/registry/publish-version.js';
import type { ClaimedRun } from '../../src/runs/claim-run.js';
import { finishRun } from '../../src/runs/finish-run.js';
import { nameOrRemove, type Ownership } from '../../src/runs/own-run.js';
import type { RunRecorder } from '../../src/runs/record-progress.js';
import type { TrainingResult, TrainingTask } from '../../src/training/train.js';

/**
 * Objects first, each noted before, then the version and the run's end in one transaction: a crash between the two
 * leaves notes by which the objects are removed, never a version without its weights.
 */
export function publishRun(...publication: Parameters<typeof storeAndPublish>): Promise<ModelVersion> {
  return storeUntilNamed(() => storeAndPublish(...publication));
}

async function storeAndPublish(
  { database, objects }: { readonly database: Database; readonly objects: ObjectStore },
  recorder: RunRecorder,
  owner: Ownership,
  { modelId, model, datasetId, quantize }: ClaimedRun,
  { graph, classNames, normalisation }: TrainingTask,
  { step, tensors, evaluation }: Extract<TrainingResult, { outcome: 'finished' }>,
): Promise<ModelVersion> {
  const { mean, std } = normalisation;
  const metadata = { class_names: JSON.stringify(classNames), mean: JSON.stringify(mean), std: JSON.stringify(std) };
  const note = noteIn(database);
  // One after the other: of a large network, each takes gigabytes while it is written.
  const onnx = await objects.putBytes(encodeOnnx(graph, tensors, { classNames, mean, std }), note);
  const safetensors = await objects.putBytes(encodeStateDict(graph, tensors, step, metadata), note);
  const layersModel = encodeTfjs(graph, tensors, { classNames, mean, std });
  const tfjs = layersModel && (await objects.putBytes(layersModel, note));
  const artifacts: NewVersion['artifacts'] = [
    { kind: 'ONNX', ...onnx },
    { kind: 'SAFETENSORS', ...safetensors },
    ...(tfjs ? [{ kind: 'TFJS' as const, ...tfjs }] : []),
  ];
  const stored = artifacts.map(({ sha256 }) => sha256);
  const publish = async (transaction: Transaction) => {
    await holdObjects(transaction, objects, stored);
    const version = await publishVersion(transaction, {
      runId: owner.runId,
      modelId,
      definition: model.definition as unknown as NetworkDefinition,
      classNames,
      mean,
      std,
      evaluation,
      artifacts,
    });
    if (quantize) await wantQuantization(transaction, { versionId: version.id, datasetId });
    await finishRun(transaction, owner, evaluation);
    await takeBackNotes(transaction, stored);
    return version;
  };
  return nameOrRemove({ database, objects }, stored, () => recorder.end(publish));
}
