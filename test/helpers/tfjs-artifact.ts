import type * as tf from '@tensorflow/tfjs';
import { readArchive } from '../../src/formats/archive.js';

/** What `tf.loadLayersModel` takes, out of a TFJS artifact: read as any reader of .zip files would. */
export async function unpackTfjs(artifact: Uint8Array): Promise<tf.io.IOHandler> {
  const file = Buffer.from(artifact);
  const read = async (start: number, end: number) => file.subarray(start, end);
  const fail = (problem: string): never => {
    throw new Error(problem);
  };
  const files = new Map<string, Buffer>();
  for await (const entry of readArchive({ name: 'model.zip', bytes: file.length, read }, { maxBytes: 2 ** 32 }, fail))
    files.set(entry.path, await entry.content());
  const { weightsManifest, ...model } = JSON.parse(files.get('model.json')!.toString());
  const [{ paths, weights }] = weightsManifest;
  const weightData = Uint8Array.from(files.get(paths[0])!).buffer;
  return { load: async () => ({ ...model, weightSpecs: weights, weightData }) };
}
