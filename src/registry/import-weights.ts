import { createWriteStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Worker } from 'node:worker_threads';
import pLimit from 'p-limit';
import type { NetworkDefinition } from '../domain/network/definition.js';
import { badInput, tooLarge } from '../errors.js';
import type { Database } from '../infra/database.js';
import { holdObjects, noteIn, storeUntilNamed, takeBackNotes } from '../infra/dropped-objects.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Model, ModelVersion } from '../infra/prisma/client.js';
import { makeScratchFolder } from '../infra/scratch.js';
import { requireModel } from '../models/find-model.js';
import type { Conversion, Converted } from './convert-weights.js';
import { publishVersion, type NewVersion } from './publish-version.js';
import { weightsKey } from './weights-upload.js';

interface Deps {
  readonly database: Database;
  readonly objects: ObjectStore;
  /** Files under way lie here. */
  readonly dataDir: string;
}

export const importsRoot = (dataDir: string) => path.join(dataDir, 'imports');

/** What one ONNX file can hold anyway. */
const MAX_FILE_BYTES = 2 * 1024 ** 3;
/** Each holds its weights in memory several times over. */
const oneAtATime = pLimit(1);

/**
 * Makes an uploaded safetensors file of a torchvision, timm or Hugging Face ResNet the model's next version. The upload
 * is gone afterwards, unless a server was away: then the same call may be made again.
 * @param uploadId what `createWeightsUpload` answered with
 * @throws NOT_FOUND on `model`; BAD_USER_INPUT and PAYLOAD_TOO_LARGE on `safetensors`, every tensor at fault by name
 */
export async function importWeights(deps: Deps, modelName: string, uploadId: string): Promise<ModelVersion> {
  const model = await requireModel(deps, modelName);
  const key = weightsKey(model, uploadId);
  return oneAtATime(async () => {
    await checkUpload(deps, model, key);
    return importUpload(deps, model, key);
  });
}

async function checkUpload({ objects }: Deps, model: Model, key: string): Promise<void> {
  const upload = await objects.statUpload(key);
  if (!upload) throw badInput('safetensors', `nothing was uploaded for ${model.name} under this id, or it was imported`);
  if (upload.bytes <= MAX_FILE_BYTES) return;
  await objects.removeUpload(key);
  throw tooLarge(`the file has ${upload.bytes} bytes, more than ${MAX_FILE_BYTES}`, 'safetensors');
}

async function importUpload({ database, objects, dataDir }: Deps, model: Model, key: string): Promise<ModelVersion> {
  const folder = await makeScratchFolder(importsRoot(dataDir));
  try {
    const source = path.join(folder, 'upload');
    await pipeline(objects.readUpload(key), createWriteStream(source));
    const definition = model.definition as unknown as NetworkDefinition;
    const converted = await convert({ source, folder, definition, classNames: model.classNames });
    if (converted.kind === 'refused') {
      await objects.removeUpload(key);
      throw badInput('safetensors', converted.problem);
    }
    const version = await storeUntilNamed(async () => {
      const artifacts: NewVersion['artifacts'][number][] = [];
      for (const kind of converted.artifacts)
        artifacts.push({ kind, ...(await objects.putFile(path.join(folder, kind), noteIn(database))) });
      return publish({ database, objects }, {
        runId: null,
        modelId: model.id,
        definition,
        classNames: model.classNames,
        mean: converted.mean,
        std: converted.std,
        evaluation: null,
        artifacts,
      });
    });
    // The version is there: what remains of the upload is no reason to tell of a failure.
    await objects.removeUpload(key).catch(() => undefined);
    return version;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** In a thread, which ends with its answer. */
function convert(conversion: Conversion): Promise<Converted> {
  return new Promise((resolve, reject) => {
    const thread = new Worker(new URL('./convert-weights.js', import.meta.url), { workerData: conversion });
    thread.once('message', resolve);
    thread.once('error', reject);
    thread.once('exit', (code) => reject(new Error(`the thread that converts weights ended with code ${code}`)));
  });
}

function publish(
  { database, objects }: Pick<Deps, 'database' | 'objects'>,
  version: NewVersion,
): Promise<ModelVersion> {
  const stored = version.artifacts.map(({ sha256 }) => sha256);
  return database.$transaction(async (transaction) => {
    await holdObjects(transaction, objects, stored);
    const published = await publishVersion(transaction, version);
    await takeBackNotes(transaction, stored);
    return published;
  });
}
