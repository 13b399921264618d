import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadBackend } from '../../../../../src/training/engines/tfjs/backend.js';
import { TfjsSession } from '../../../../../src/training/engines/tfjs/session.js';
import type { SessionOptions } from '../../../../../src/training/engine.js';
import { largestDifference, readVariant, readVariants, toNhwc, VARIANT_IMAGES } from '../../../../golden/variants/variants.js';

const options: SessionOptions = {
  batchSize: VARIANT_IMAGES,
  precision: 'FLOAT32',
  optimizer: {
    kind: 'SGD', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
  },
  labelSmoothing: 0,
  seed: 0,
};

beforeAll(loadBackend);

describe.each(readVariants())('$name', ({ graph, tensors, input, logits }) => {
  it("gives PyTorch's logits", () => {
    const session = new TfjsSession(graph, tensors, options);
    expect(largestDifference(session.evaluate(toNhwc(input, graph.inputShape), VARIANT_IMAGES), logits)).toBeLessThan(1e-4);
    session.close();
  });

  it('gives back the tensors that it was given', () => {
    const session = new TfjsSession(graph, tensors, options);
    expect(session.tensors()).toEqual(tensors);
    session.close();
  });
});

it('leaves no tensor behind: not after a step, nor once it is closed', () => {
  const { graph, tensors, input } = readVariant('squeeze-excitation');
  const images = toNhwc(input, graph.inputShape);
  const before = tf.memory().numTensors;
  const session = new TfjsSession(graph, tensors, options);
  const step = () => session.step({ images, labels: Int32Array.of(0, 1, 2), size: VARIANT_IMAGES }, 0.01);
  step();
  const held = tf.memory().numTensors;
  step();
  session.evaluate(images, VARIANT_IMAGES);
  session.restore(session.tensors(), session.optimizerState());
  expect(session.gradients().size).toBeGreaterThan(0);
  expect(tf.memory().numTensors).toBe(held);
  session.close();
  expect(tf.memory().numTensors).toBe(before);
});
