import { describe, expect, it } from 'vitest';
import type { NetworkDefinition } from '../../../../src/domain/network/definition.js';
import { summariseNetwork } from '../../../../src/domain/network/flops.js';
import { graphTensors } from '../../../../src/domain/network/graph.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import { normaliseNetwork, type ArchitectureInput } from '../../../../src/domain/network/normalise.js';
import { PRESETS, type PresetName } from '../../../../src/domain/network/presets.js';
import { PUBLISHED } from '../../../helpers/published-presets.js';

function define(
  preset: PresetName,
  architecture: ArchitectureInput = {},
  changes: { channels?: number; numClasses?: number } = {},
): NetworkDefinition {
  const { paperInputShape, paperClasses } = PRESETS[preset];
  const inputShape = { ...paperInputShape, channels: changes.channels ?? paperInputShape.channels };
  return normaliseNetwork({ preset, architecture, inputShape, numClasses: changes.numClasses ?? paperClasses });
}

const parameters = (...args: Parameters<typeof define>) => summariseNetwork(define(...args)).parameters;

it('has a published count for every preset', () => {
  expect(PUBLISHED.map(([preset]) => preset).sort()).toEqual(Object.keys(PRESETS).sort());
});

describe.each(PUBLISHED)('%s', (preset, count, depth, source) => {
  it(`has ${count} parameters (${source})`, () => expect(parameters(preset)).toBe(count));
  it(`counts as ${depth} layers deep`, () => expect(summariseNetwork(define(preset)).depth).toBe(depth));

  it('loses the weights and the bias of each class that is left out', () => {
    const { paperClasses } = PRESETS[preset];
    const features = graphTensors(buildGraph(define(preset))).find(({ name }) => name === 'fc.weight')!.shape[1]!;
    expect(parameters(preset, {}, { numClasses: 7 })).toBe(count - (paperClasses - 7) * (features + 1));
  });
});

it.each([
  // osmr/imgclsmob README: resnet20, 56 and 110 on CIFAR-10; 32 and 44 follow from 6n + 2 (published-counts.json).
  ['RESNET20', 272_474],
  ['RESNET32', 466_906],
  ['RESNET44', 661_338],
  ['RESNET56', 855_770],
  ['RESNET110', 1_730_714],
] as const)('%s with 1x1 projections has %d parameters', (preset, count) => {
  expect(parameters(preset, { shortcut: 'PROJECTION' })).toBe(count);
});

it.each([
  // osmr/imgclsmob README and weight_count assertions; torchvision for the rest of the family.
  ['ResNet-200', 'RESNET50', { stages: imagenetStages(3, 24, 36, 3) }, 64_673_832],
  ['ResNet-10', 'RESNET18', { stages: imagenetStages(1, 1, 1, 1) }, 5_418_792],
  ['ResNet-14 with bottlenecks', 'RESNET50', { stages: imagenetStages(1, 1, 1, 1) }, 10_064_936],
  ['ResNet-26 with bottlenecks', 'RESNET50', { stages: imagenetStages(2, 2, 2, 2) }, 15_995_176],
  ['ResNeXt-101 32x4d', 'RESNEXT101_32X8D', { widthPerGroup: 4 }, 44_177_704],
  ['ResNet-50 widened by torchvision width_per_group', 'RESNET50', { widthPerGroup: 128 }, 68_883_240],
  ['ResNet-18-D', 'RESNET18', { stem: { kind: 'DEEP3X3_POOL', width: 64 }, shortcut: 'AVERAGE_POOL' }, 11_708_744],
  ['ResNet-152-D', 'RESNET152', { stem: { kind: 'DEEP3X3_POOL', width: 64 }, shortcut: 'AVERAGE_POOL' }, 60_212_040],
  ['SE-ResNet-152', 'RESNET152', { squeezeExcitation: 16 }, 66_821_848],
  ['SE-ResNeXt-50 32x4d', 'RESNEXT50_32X4D', { squeezeExcitation: 16 }, 27_559_896],
  ['PreResNet-18', 'RESNET18', { block: 'PREACT_BASIC', shortcutNorm: false }, 11_687_848],
  ['PreResNet-50', 'RESNET50', { block: 'PREACT_BOTTLENECK', shortcutNorm: false }, 25_549_480],
  ['ResNet-1202 with projections', 'RESNET20', { stages: cifarStages(200), shortcut: 'PROJECTION' }, 19_424_026],
  ['ResNet-164 with bottlenecks', 'PREACT_RESNET164', { block: 'BOTTLENECK', shortcutNorm: true }, 1_704_154],
  ['SE-ResNet-20', 'RESNET20', { shortcut: 'PROJECTION', squeezeExcitation: 16 }, 274_847],
  ['SE-ResNet-110', 'RESNET110', { shortcut: 'PROJECTION', squeezeExcitation: 16 }, 1_744_952],
  ['PreResNet-1202', 'PREACT_RESNET20', { stages: cifarStages(200) }, 19_423_834],
  ['WRN-16-10', 'WIDE_RESNET16_4', { widthMultiplier: 10 }, 17_116_634],
  ['WRN-40-8', 'WIDE_RESNET40_4', { widthMultiplier: 8 }, 35_748_314],
] satisfies [string, PresetName, ArchitectureInput, number][])('%s has its published count', (_, preset, architecture, count) => {
  expect(parameters(preset, architecture)).toBe(count);
});

it.each([
  // published-counts.json, column macs; torchvision's _ops for 18, 34 and 50.
  ['RESNET18', {}, 1_814_073_344],
  ['RESNET34', {}, 3_663_761_408],
  ['RESNET50', {}, 4_089_184_256],
  ['RESNET50', { strideInFirstConv: true }, 3_857_973_248],
  ['RESNEXT50_32X4D', {}, 4_230_479_872],
  ['WIDE_RESNET50_2', {}, 11_398_021_120],
  ['RESNET50D', {}, 4_328_824_832],
  ['SE_RESNET50', {}, 4_091_699_200],
  ['RESNET20', {}, 40_551_040],
  ['PREACT_RESNET164', {}, 247_646_720],
  ['WIDE_RESNET28_10', {}, 5_243_328_768],
] satisfies [PresetName, ArchitectureInput, number][])('%s %o takes the published multiply-adds', (preset, architecture, count) => {
  expect(summariseNetwork(define(preset, architecture)).flops).toBe(2n * BigInt(count));
});

it.each([
  // len(torchvision.models.resnet18().state_dict()) and so on; each batch norm adds its num_batches_tracked.
  ['RESNET18', 122],
  ['RESNET34', 218],
  ['RESNET50', 320],
  ['RESNET101', 626],
  ['RESNET152', 932],
] as const)('%s has %d entries in its state_dict', (preset, entries) => {
  const graph = buildGraph(define(preset));
  expect(graphTensors(graph).length + graph.nodes.filter(({ kind }) => kind === 'batchNorm').length).toBe(entries);
});

it.each([
  ['RESNET50', 6_272], // 7 x 7 x 64 for each of two channels
  ['RESNET18_CIFAR', 1_152], // 3 x 3 x 64
  ['RESNET20', 288], // 3 x 3 x 16
] as const)('%s on grey images has %d parameters fewer', (preset, fewer) => {
  expect(parameters(preset, {}, { channels: 1 })).toBe(parameters(preset) - fewer);
});

function imagenetStages(...blocks: number[]) {
  return blocks.map((count, index) => ({ blocks: count, width: 64 * 2 ** index, stride: index === 0 ? 1 : 2 }));
}

function cifarStages(blocks: number) {
  return [16, 32, 64].map((width) => ({ blocks, width, stride: width === 16 ? 1 : 2 }));
}
