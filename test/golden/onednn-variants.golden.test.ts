import { expect, test } from 'vitest';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { OPTIONS } from '../conformance/tiny.js';
import { largestDifference, readVariants, toNhwc, VARIANT_IMAGES } from './variants/variants.js';

/** Beside the largest logit: bfloat16 rounds to 2^-9 at every layer. */
const TOLERANCE = { FLOAT32: 1e-5, BFLOAT16: 0.05 } as const;

const engine = createOneDnnEngine({ threads: 2 });
const largest = (values: Float32Array) => Math.max(...values.map(Math.abs));

for (const precision of engine.precisions)
  test.each(readVariants())(`$name has PyTorch's logits in ${precision}`, async ({ graph, tensors, input, logits }) => {
    const session = await engine.open(graph, tensors, { ...OPTIONS, batchSize: VARIANT_IMAGES, precision });
    const ours = await session.evaluate(toNhwc(input, graph.inputShape), VARIANT_IMAGES);
    await session.close();
    expect(largestDifference(ours, logits) / largest(logits)).toBeLessThan(TOLERANCE[precision]);
  });
