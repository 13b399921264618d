import * as tf from '@tensorflow/tfjs';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { StageDefinition } from '../../../src/domain/network/definition.js';
import type { Graph, TensorMap } from '../../../src/domain/network/graph.js';
import { initialTensors } from '../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../../src/domain/network/normalise.js';
import { encodeTfjs } from '../../../src/formats/tfjs.js';
import { largestDifference, readVariant, readVariants, VARIANT_IMAGES } from '../../golden/variants/variants.js';
import { unpackTfjs } from '../../helpers/tfjs-artifact.js';

beforeAll(async () => {
  tf.enableProdMode();
  await tf.setBackend('cpu');
});

const metadata = { classNames: ['a', 'b', 'c', 'd', 'é'], mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };

async function predict(graph: Graph, tensors: TensorMap, images: Float32Array): Promise<Float32Array> {
  const model = await tf.loadLayersModel(await unpackTfjs(encodeTfjs(graph, tensors, metadata)!));
  const [channels, height, width] = graph.inputShape;
  const probabilities = tf.tidy(() => {
    const nhwc = tf.transpose(tf.tensor4d(images, [VARIANT_IMAGES, channels, height, width]), [0, 2, 3, 1]);
    return (model.predict(nhwc) as tf.Tensor).dataSync<'float32'>();
  });
  model.dispose();
  return probabilities.slice();
}

function softmax(logits: Float32Array, classes: number): Float32Array {
  return logits.map((logit, index) => {
    const row = logits.slice(index - (index % classes), index - (index % classes) + classes);
    return 1 / row.reduce((sum, other) => sum + Math.exp(other - logit), 0);
  });
}

describe.each(readVariants())('$name', ({ graph, tensors, input, logits }) => {
  it("opens in TensorFlow.js and gives the softmax of PyTorch's logits", async () => {
    const probabilities = await predict(graph, tensors, input);
    expect(largestDifference(probabilities, softmax(logits, graph.numClasses))).toBeLessThan(1e-4);
  });
});

it('leaves out what acts in training alone', async () => {
  const { definition, tensors, input, logits } = readVariant('basic-pad');
  const graph = buildGraph({ ...definition, dropPath: 0.5, dropout: 0.5 });
  const probabilities = await predict(graph, tensors, input);
  expect(largestDifference(probabilities, softmax(logits, graph.numClasses))).toBeLessThan(1e-4);
});

it('carries the classes and the normalisation, so that the file is enough to predict with', async () => {
  const { graph, tensors } = readVariant('bottleneck');
  const { userDefinedMetadata } = await (await unpackTfjs(encodeTfjs(graph, tensors, metadata)!)).load!();
  expect(userDefinedMetadata).toEqual({
    class_names: metadata.classNames, mean: metadata.mean, std: metadata.std, input_shape: [3, 37, 33],
  }); // prettier-ignore
});

it('is the same file for the same weights, on another day as well', () => {
  const { graph, tensors } = readVariant('basic-projection');
  const first = encodeTfjs(graph, tensors, metadata);
  vi.useFakeTimers({ now: Date.now() + 86_400_000, toFake: ['Date'] });
  onTestFinished(() => void vi.useRealTimers());
  expect(encodeTfjs(graph, tensors, metadata)).toEqual(first);
});

it('is nothing for a network that no layers of TensorFlow.js make', () => {
  const artifact = (side: number, stages: StageDefinition[], changes: ArchitectureInput = {}) => {
    const definition = normaliseNetwork({
      architecture: { stem: { kind: 'CONV3X3', width: 4 }, stages, ...changes },
      inputShape: { height: side, width: side, channels: 3 },
      numClasses: 5,
    });
    const graph = buildGraph(definition);
    return encodeTfjs(graph, initialTensors(graph, definition, 0), metadata);
  };
  const thirds = [{ blocks: 1, width: 4, stride: 1 }, { blocks: 1, width: 8, stride: 3 }];
  expect(artifact(9, thirds, { shortcut: 'AVERAGE_POOL' })).toBeInstanceOf(Uint8Array);
  expect(artifact(10, thirds, { shortcut: 'AVERAGE_POOL' })).toBeNull();
  const many = [{ blocks: 17, width: 256, stride: 1 }];
  expect(artifact(4, many, { block: 'BOTTLENECK', groups: 256 })).toBeNull();
});
