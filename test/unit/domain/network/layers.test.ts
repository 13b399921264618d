import { expect, it } from 'vitest';
import { INPUT, type Graph, type Node } from '../../../../src/domain/network/graph.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../../../src/domain/network/normalise.js';
import { PRESETS, type PresetName } from '../../../../src/domain/network/presets.js';

function graphOf(preset: PresetName, architecture: ArchitectureInput = {}): Graph {
  const { paperInputShape: inputShape, paperClasses: numClasses } = PRESETS[preset];
  return buildGraph(normaliseNetwork({ preset, architecture, inputShape, numClasses }));
}

function find<K extends Node['kind']>(graph: Graph, name: string, kind: K): Node & { kind: K } {
  const node = graph.nodes.find((candidate) => candidate.name === name);
  if (node?.kind !== kind) throw new Error(`${name} is ${node?.kind ?? 'not there'}`);
  return node as Node & { kind: K };
}

const names = (graph: Graph, prefix: string) => graph.nodes.map(({ name }) => name).filter((name) => name.startsWith(prefix));

const EVERYTHING = (Object.keys(PRESETS) as PresetName[]).flatMap((preset) =>
  [{}, { stem: { kind: 'DEEP3X3_POOL', width: 8 }, shortcut: 'AVERAGE_POOL' }, { squeezeExcitation: 4, shortcut: 'PROJECTION_ALL' }].map(
    (architecture) => [preset, architecture as ArchitectureInput] as const,
  ),
);

it.each(EVERYTHING)('%s %o reads only what was computed before, under unique names', (preset, architecture) => {
  const graph = graphOf(preset, { dropPath: 0.1, dropout: 0.2, ...architecture });
  const known = new Map<string, readonly number[]>([[INPUT, graph.inputShape]]);
  for (const node of graph.nodes) {
    expect(known.has(node.name)).toBe(false);
    const shapes = node.inputs.map((input) => known.get(input)!);
    expect(shapes).not.toContain(undefined);
    if (node.kind === 'add') expect(shapes).toEqual([node.outputShape, node.outputShape]);
    known.set(node.name, node.outputShape);
  }
  expect(known.get(graph.output)).toEqual([graph.numClasses, 1, 1]);
});

it("names modules and tensors as torchvision's bottleneck does", () => {
  const graph = graphOf('RESNET50');
  expect(graph.nodes.flatMap(({ tensors }) => tensors.map(({ name }) => name)).slice(5, 10)).toEqual([
    'layer1.0.conv1.weight', 'layer1.0.bn1.weight', 'layer1.0.bn1.bias', 'layer1.0.bn1.running_mean', 'layer1.0.bn1.running_var',
  ]);
  expect(names(graph, 'layer2.0.')).toEqual([
    'layer2.0.conv1', 'layer2.0.bn1', 'layer2.0.relu1', 'layer2.0.conv2', 'layer2.0.bn2', 'layer2.0.relu2',
    'layer2.0.conv3', 'layer2.0.bn3', 'layer2.0.downsample.0', 'layer2.0.downsample.1', 'layer2.0.add', 'layer2.0.relu',
  ]);
  expect(find(graph, 'conv1', 'conv').outputShape).toEqual([64, 112, 112]);
  expect(find(graph, 'maxpool', 'maxPool').outputShape).toEqual([64, 56, 56]);
  expect(find(graph, 'layer4.2.relu', 'relu').outputShape).toEqual([2048, 7, 7]);
});

it('puts the stride of a bottleneck in its 3x3 (v1.5), or in its first 1x1 where asked (v1)', () => {
  const strides = (graph: Graph) => [1, 2, 3].map((conv) => find(graph, `layer2.0.conv${conv}`, 'conv').stride);
  expect(strides(graphOf('RESNET50'))).toEqual([1, 2, 1]);
  expect(strides(graphOf('RESNET50', { strideInFirstConv: true }))).toEqual([2, 1, 1]);
});

it('shortens with zero channels and without parameters (A), projects where shapes differ (B) or everywhere (C)', () => {
  const padded = find(graphOf('RESNET20'), 'layer2.0.downsample', 'padChannels');
  expect([padded.stride, padded.addedChannels, padded.tensors]).toEqual([2, 16, []]);
  expect(names(graphOf('RESNET20', { shortcut: 'PROJECTION' }), 'layer1.0.downsample')).toEqual([]);
  expect(names(graphOf('RESNET20', { shortcut: 'PROJECTION_ALL' }), 'layer1.0.downsample')).toHaveLength(2);
});

it('averages before it projects where ResNet-D does, and only where there is a stride', () => {
  const graph = graphOf('RESNET50D');
  expect(names(graph, 'layer1.0.downsample')).toEqual(['layer1.0.downsample.1', 'layer1.0.downsample.2']);
  const pool = find(graph, 'layer2.0.downsample.0', 'averagePool');
  expect([pool.kernel, pool.stride, pool.padding, pool.ceilMode]).toEqual([2, 2, 0, true]);
  expect(find(graph, 'layer2.0.downsample.1', 'conv').stride).toBe(1);
});

it('builds the deep stem as 3x3 convolutions of 32, 32 and 64 channels', () => {
  const stem = ['conv1.0', 'conv1.3', 'conv1.6'].map((name) => find(graphOf('RESNET50D'), name, 'conv'));
  expect(stem.map(({ outputShape, stride }) => [outputShape[0], stride])).toEqual([[32, 2], [32, 1], [64, 1]]);
});

it('activates before each convolution in a pre-activated block, and once more before the pooling', () => {
  const graph = graphOf('PREACT_RESNET20');
  expect(names(graph, 'layer1.0.')).toEqual([
    'layer1.0.bn1', 'layer1.0.relu1', 'layer1.0.conv1', 'layer1.0.bn2', 'layer1.0.relu2', 'layer1.0.conv2', 'layer1.0.add',
  ]);
  expect(find(graph, 'layer2.0.downsample.0', 'conv').inputs).toEqual(['layer2.0.relu1']);
  expect(find(graph, 'layer2.1.add', 'add').inputs).toEqual(['layer2.1.conv2', 'layer2.0.add']);
  expect(graph.nodes.slice(-4).map(({ name }) => name)).toEqual(['norm', 'norm_relu', 'avgpool', 'fc']);
});

it('scales the residual by its gate in a squeeze-and-excitation block', () => {
  const graph = graphOf('SE_RESNET50');
  expect(find(graph, 'layer1.0.se.fc1', 'conv').outputShape).toEqual([16, 1, 1]);
  expect(find(graph, 'layer1.0.se.scale', 'scale').inputs).toEqual(['layer1.0.bn3', 'layer1.0.se.gate']);
  expect(find(graph, 'layer1.0.add', 'add').inputs[0]).toBe('layer1.0.se.scale');
});

it('groups the 3x3 convolution alone', () => {
  const groups = [1, 2, 3].map((conv) => find(graphOf('RESNEXT50_32X4D'), `layer1.0.conv${conv}`, 'conv').groups);
  expect(groups).toEqual([1, 32, 1]);
});

it('gives the notebook biases everywhere and a projection without a norm', () => {
  const graph = graphOf('NOTEBOOK');
  const convs = graph.nodes.filter((node) => node.kind === 'conv');
  expect(convs.every((node) => node.bias && node.tensors.length === 2)).toBe(true);
  expect(names(graph, 'layer2.0.downsample')).toEqual(['layer2.0.downsample.0']);
  expect(find(graph, 'layer2.0.conv1', 'conv').stride).toBe(2);
});

it('raises the rate of stochastic depth linearly to the last block', () => {
  const rates = graphOf('RESNET20', { dropPath: 0.9 }).nodes.flatMap((node) => (node.kind === 'dropPath' ? [node.rate] : []));
  expect(rates).toHaveLength(9);
  for (const [index, rate] of rates.entries()) expect(rate).toBeCloseTo(0.1 * (index + 1), 12);
});

it("drops values before each block's last convolution", () => {
  const graph = graphOf('WIDE_RESNET16_4', { dropout: 0.3 });
  expect(find(graph, 'layer1.0.conv2', 'conv').inputs).toEqual(['layer1.0.dropout']);
  expect(find(graph, 'layer1.0.dropout', 'dropout')).toMatchObject({ rate: 0.3, inputs: ['layer1.0.relu2'] });
});
