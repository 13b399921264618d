import * as tf from '@tensorflow/tfjs';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { expect, it } from 'vitest';
import type { Graph } from '../../src/domain/network/graph.js';
import { initialTensors } from '../../src/domain/network/initialise.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normaliseNetwork, type NetworkInput } from '../../src/domain/network/normalise.js';
import { CounterRandom, STREAM } from '../../src/domain/seed.js';
import { encodeOnnx } from '../../src/formats/onnx.js';
import { checkStateDict, decodeStateDict, encodeStateDict } from '../../src/formats/state-dict.js';
import { encodeTfjs } from '../../src/formats/tfjs.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { largestDifference } from '../golden/variants/variants.js';
import { unpackTfjs } from '../helpers/tfjs-artifact.js';
import { OPTIONS } from './tiny.js';

const SIZE = 4;

function toNchw(values: Float32Array, channels: number, pixels: number): Float32Array {
  return values.map((_, index) => {
    const image = Math.floor(index / (channels * pixels));
    const channel = Math.floor(index / pixels) % channels;
    return values[(image * pixels + (index % pixels)) * channels + channel]!;
  });
}

async function predictInTensorFlow(file: tf.io.IOHandler, images: Float32Array, graph: Graph): Promise<Float32Array> {
  tf.enableProdMode();
  await tf.setBackend('cpu');
  const model = await tf.loadLayersModel(file);
  const [channels, height, width] = graph.inputShape;
  const input = tf.tensor4d(images, [SIZE, height, width, channels]);
  return Float32Array.from((model.predict(input) as tf.Tensor).dataSync());
}

function softmax(logits: Float32Array, rows: number): Float32Array {
  const classes = logits.length / rows;
  return logits.map((logit, index) => {
    const start = index - (index % classes);
    return 1 / logits.subarray(start, start + classes).reduce((sum, other) => sum + Math.exp(other - logit), 0);
  });
}

/** Three steps leave the running statistics of a deep network far from any batch's: blocks that start as the identity keep it tame. */
const TAME = { zeroInitResidual: true };
const DROPPING = { dropPath: 0.2, dropout: 0.2 };

it.each([
  { preset: 'RESNET20', inputShape: { height: 28, width: 28, channels: 1 }, numClasses: 10 },
  { preset: 'NOTEBOOK', inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 10 },
  { preset: 'RESNET18', inputShape: { height: 32, width: 40, channels: 3 }, numClasses: 7 },
  { preset: 'SE_RESNET18', architecture: DROPPING, inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 6 },
  { preset: 'RESNET50', architecture: TAME, inputShape: { height: 32, width: 32, channels: 3 }, numClasses: 5 },
] satisfies NetworkInput[])('what $preset learnt predicts alike in every format', async (input) => {
  const definition = normaliseNetwork(input);
  const graph = buildGraph(definition);
  const random = new CounterRandom(5, STREAM.sample, 0);
  const [channels, height, width] = graph.inputShape;
  const images = Float32Array.from({ length: SIZE * channels * height * width }, () => random.normal());
  const labels = Int32Array.from({ length: SIZE }, (_, image) => image % graph.numClasses);

  const initial = initialTensors(graph, definition, 1);
  const session = await createOneDnnEngine({ threads: 2 }).open(graph, initial, { ...OPTIONS, batchSize: SIZE });
  for (let step = 0; step < 3; step++) await session.step({ images, labels, size: SIZE }, 0.01);
  const [tensors, logits] = [await session.tensors(), await session.evaluate(images, SIZE)];
  await session.close();

  const classNames = Array.from({ length: graph.numClasses }, (_, index) => `class ${index}`);
  const statistics = { mean: Array<number>(channels).fill(0.5), std: Array<number>(channels).fill(0.25) };
  const served = await InferenceSession.create(encodeOnnx(graph, tensors, { classNames, ...statistics }));
  const batch = new Tensor('float32', toNchw(images, channels, height * width), [SIZE, channels, height, width]);
  const { logits: ours } = await served.run({ input: batch });
  expect(largestDifference(ours!.data as Float32Array, logits)).toBeLessThan(1e-3);

  const layersModel = await unpackTfjs(encodeTfjs(graph, tensors, { classNames, ...statistics })!);
  expect(largestDifference(await predictInTensorFlow(layersModel, images, graph), softmax(logits, SIZE))).toBeLessThan(1e-4);

  const read = decodeStateDict(encodeStateDict(graph, tensors, 3));
  expect(() => checkStateDict(graph, read)).not.toThrow();
  for (const [name, values] of tensors) expect(largestDifference(read.get(name)!, values), name).toBe(0);
});
