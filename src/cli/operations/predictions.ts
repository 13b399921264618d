import type { ApiClient } from '../client.js';

export interface ClassScore {
  readonly className: string;
  readonly probability: number;
}

export interface ImagePrediction {
  readonly top: readonly ClassScore[];
  /** A PNG in base64, where it was asked for. */
  readonly explanation?: string | null;
}

export interface Prediction {
  readonly latencyMs: number;
  readonly modelVersion: { readonly version: number };
  readonly predictions: readonly ImagePrediction[];
}

/** @param images in base64, 64 of them at most */
export async function predict(
  api: ApiClient,
  model: string,
  images: readonly string[],
  { topK = 1, explain = false } = {},
): Promise<Prediction> {
  const query = `query ($input: PredictInput!) {
    predict(input: $input) {
      latencyMs modelVersion { version }
      predictions { top { className probability } ${explain ? 'explanation' : ''} }
    }
  }`;
  return (await api.request<{ predict: Prediction }>(query, { input: { model, images, topK, explain } })).predict;
}
