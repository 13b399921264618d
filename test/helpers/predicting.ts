import sharp from 'sharp';
import { onTestFinished } from 'vitest';
import type { TestPlatform } from './platform.js';

/** Predictions as a user asks for them. */

export interface Answered {
  /** `OK`, or the code of the error. */
  readonly code: string;
  readonly version?: number;
  /** By image and class. */
  readonly probabilities?: readonly (readonly number[])[];
  readonly begunAt: number;
  readonly endedAt: number;
}

const PREDICT = `query ($input: PredictInput!) { predict(input: $input) {
  modelVersion { version aliases model { name } artifacts { kind } } predictions { top { index probability } } } }`;

/** Pictures of 32x32, each different. */
export function pictures(count: number): Promise<string[]> {
  const picture = async (seed: number) => {
    const pixels = Uint8Array.from({ length: 32 * 32 * 3 }, (_, index) => 128 + 120 * Math.sin(index * (0.01 + seed * 0.003)));
    return (await sharp(pixels, { raw: { width: 32, height: 32, channels: 3 } }).png().toBuffer()).toString('base64');
  };
  return Promise.all(Array.from({ length: count }, (_, seed) => picture(seed)));
}

export async function predict(
  graphql: TestPlatform['graphql'],
  model: string,
  images: readonly string[],
): Promise<Answered> {
  const begunAt = performance.now();
  const { data, errors } = await graphql(PREDICT, { input: { model, images, topK: 10 } });
  const times = { begunAt, endedAt: performance.now() };
  if (errors) return { code: errors[0]!.extensions.code, ...times };
  const probabilities = data.predict.predictions.map(({ top }: { top: { index: number; probability: number }[] }) =>
    top.toSorted((a, b) => a.index - b.index).map(({ probability }) => probability),
  );
  return { code: 'OK', version: data.predict.modelVersion.version, probabilities, ...times };
}

/** Asks again and again, `width` requests at a time, until `stop`, which gives every answer in the order of its end. */
export function streamPredictions(ask: () => Promise<Answered>, width: number) {
  const answers: Answered[] = [];
  let stopped = false;
  const lane = async () => {
    while (!stopped) answers.push(await ask());
  };
  const lanes = Promise.all(Array.from({ length: width }, lane));
  const stop = async () => {
    stopped = true;
    await lanes;
    return answers;
  };
  // Also where the test fails before it stops them.
  onTestFinished(async () => void (await stop()));
  return { answers, stop };
}
