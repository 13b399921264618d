import type { OpenDataset } from '../datasets/read-dataset.js';
import { addLogits, createTally, summariseTally, type Evaluation } from '../domain/evaluation.js';
import type { Normalisation } from '../domain/normalisation.js';
import type { OpenOnnx } from './inference.js';
import { readImages } from './read-images.js';

/** How well an ONNX file does on TEST, by running the file itself. */
export async function evaluateOnnx(
  open: OpenOnnx,
  onnx: Uint8Array,
  data: OpenDataset,
  { classNames, ...normalisation }: Normalisation & { readonly classNames: readonly string[] },
  signal: AbortSignal,
): Promise<Evaluation> {
  const tally = createTally(classNames.length);
  const network = await open(onnx, 'logits');
  try {
    const everyImage = Uint32Array.from({ length: data.size('TEST') }, (_, index) => index);
    for (const { images, labels, size } of readImages(data, 'TEST', everyImage, normalisation)) {
      signal.throwIfAborted();
      addLogits(tally, await network.run(images, size), labels);
    }
  } finally {
    await network.release();
  }
  return summariseTally(tally, classNames);
}
