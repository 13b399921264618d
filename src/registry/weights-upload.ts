import { randomUUID } from 'node:crypto';
import { badInput } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';
import type { Model } from '../infra/prisma/client.js';
import { requireModel } from '../models/find-model.js';

/** Where to send a safetensors file, and the id that `importWeights` then takes it by. */
export interface WeightsUpload {
  readonly id: string;
  readonly upload: {
    readonly file: string;
    readonly method: 'PUT';
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly expiresAt: Date;
  };
}

const UPLOAD_SECONDS = 3_600;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Leaves no row: an upload is the model's, under an id that only its maker knows. @throws NOT_FOUND */
export async function createWeightsUpload(
  deps: { readonly database: Database; readonly objects: ObjectStore },
  modelName: string,
): Promise<WeightsUpload> {
  const model = await requireModel(deps, modelName);
  const id = randomUUID();
  const expiresAt = new Date(Date.now() + UPLOAD_SECONDS * 1_000);
  const url = await deps.objects.presignUpload(weightsKey(model, id), UPLOAD_SECONDS);
  return { id, upload: { file: 'model.safetensors', method: 'PUT', url, headers: {}, expiresAt } };
}

/** Where an upload lies in the store. @throws BAD_USER_INPUT on `safetensors` where that is no id of one. */
export function weightsKey({ id: modelId }: Model, id: string): string {
  if (!ID.test(id)) throw badInput('safetensors', 'must be the id that createWeightsUpload answered with');
  return `weights/${modelId}/${id}`;
}
