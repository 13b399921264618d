import { expect, it } from 'vitest';
import { graphTensors, type TensorMap } from '../../../../src/domain/network/graph.js';
import { initialTensors } from '../../../../src/domain/network/initialise.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../../../src/domain/network/normalise.js';
import type { PresetName } from '../../../../src/domain/network/presets.js';

function start(preset: PresetName, seed = 7, architecture: ArchitectureInput = {}): TensorMap {
  const inputShape = { height: 32, width: 32, channels: 3 };
  const definition = normaliseNetwork({ preset, architecture, inputShape, numClasses: 10 });
  return initialTensors(buildGraph(definition), definition, seed);
}

function moments(values: Float32Array): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return { mean, deviation: Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) };
}

const every = (values: Float32Array | undefined, wanted: number) => values !== undefined && values.every((value) => value === wanted);

it('gives every tensor of the graph, in its size', () => {
  const inputShape = { height: 32, width: 32, channels: 3 };
  const definition = normaliseNetwork({ preset: 'PREACT_RESNET20', architecture: { squeezeExcitation: 4 }, inputShape, numClasses: 10 });
  const graph = buildGraph(definition);
  const tensors = initialTensors(graph, definition, 0);
  expect([...tensors.keys()]).toEqual(graphTensors(graph).map(({ name }) => name));
  for (const { name, shape } of graphTensors(graph)) expect(tensors.get(name)).toHaveLength(shape.reduce((a, b) => a * b, 1));
});

it("draws a convolution with He's deviation over its outputs", () => {
  const weight = moments(start('RESNET18_CIFAR').get('layer3.0.conv2.weight')!);
  const expected = Math.sqrt(2 / (256 * 9));
  expect(weight.deviation / expected).toBeCloseTo(1, 2);
  expect(Math.abs(weight.mean)).toBeLessThan(expected / 100);
});

it('starts batch norms as the identity and biases of convolutions at zero', () => {
  const tensors = start('NOTEBOOK');
  expect(every(tensors.get('bn1.weight'), 1)).toBe(true);
  expect(every(tensors.get('bn1.bias'), 0)).toBe(true);
  expect(every(tensors.get('bn1.running_mean'), 0)).toBe(true);
  expect(every(tensors.get('bn1.running_var'), 1)).toBe(true);
  expect(every(tensors.get('conv1.bias'), 0)).toBe(true);
});

it('draws the classifier uniformly within one over the root of its inputs', () => {
  const tensors = start('RESNET18_CIFAR');
  for (const name of ['fc.weight', 'fc.bias']) {
    const values = tensors.get(name)!;
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(512));
    expect(new Set(values).size).toBeGreaterThan(5);
  }
  expect(moments(tensors.get('fc.weight')!).deviation).toBeCloseTo(1 / Math.sqrt(512) / Math.sqrt(3), 3);
});

it('gives the same numbers to the same seed and others to another', () => {
  expect(start('RESNET20', 3)).toEqual(start('RESNET20', 3));
  expect(start('RESNET20', 3).get('conv1.weight')).not.toEqual(start('RESNET20', 4).get('conv1.weight'));
});

it.each([
  ['RESNET20', 'layer2.1.bn2.weight', 'layer2.1.bn1.weight'],
  ['NOTEBOOK', 'layer2.1.bn3.weight', 'layer2.1.bn2.weight'],
  ['PREACT_RESNET164', 'layer2.1.conv3.weight', 'layer2.1.bn3.weight'],
] as const)('%s starts with %s at zero where every block is to start as the identity', (preset, zero, other) => {
  const tensors = start(preset, 0, { zeroInitResidual: true });
  expect(every(tensors.get(zero), 0)).toBe(true);
  expect(every(tensors.get(other), 1)).toBe(true);
  expect(every(start(preset).get(zero), 0)).toBe(false);
});
