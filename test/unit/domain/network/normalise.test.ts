import { describe, expect, it } from 'vitest';
import { summariseNetwork } from '../../../../src/domain/network/flops.js';
import { buildGraph } from '../../../../src/domain/network/layers.js';
import {
  normaliseNetwork,
  smallestSide,
  type ArchitectureInput,
  type NetworkInput,
} from '../../../../src/domain/network/normalise.js';
import { PRESETS, type PresetName } from '../../../../src/domain/network/presets.js';
import { ResidualError } from '../../../../src/errors.js';

const RGB = { height: 64, width: 64, channels: 3 };
const network = (changes: Partial<NetworkInput> = {}): NetworkInput => ({
  preset: 'RESNET50',
  inputShape: RGB,
  numClasses: 10,
  ...changes,
});
const changed = (architecture: object) => network({ architecture: architecture as ArchitectureInput });

function refusal(input: NetworkInput, prefix?: string): ResidualError {
  try {
    normaliseNetwork(input, prefix);
  } catch (error) {
    if (error instanceof ResidualError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe.each(Object.keys(PRESETS) as PresetName[])('%s', (preset) => {
  const { paperInputShape, paperClasses } = PRESETS[preset];
  const definition = normaliseNetwork({ preset, inputShape: paperInputShape, numClasses: paperClasses });

  it('is defined again by its own definition, through JSON', () => {
    const { preset: name, inputShape, numClasses, ...architecture } = JSON.parse(JSON.stringify(definition));
    expect(normaliseNetwork({ preset: name, architecture, inputShape, numClasses })).toEqual(definition);
  });

  it('is defined by its architecture alone', () => {
    const alone = normaliseNetwork({ architecture: definition, inputShape: paperInputShape, numClasses: paperClasses });
    expect(alone).toEqual({ ...definition, preset: null });
    expect(buildGraph(alone)).toEqual(buildGraph(definition));
  });
});

it('keeps the value of the preset for what is null or left out', () => {
  const nulls = Object.fromEntries(Object.keys(normaliseNetwork(network())).map((field) => [field, null]));
  expect(normaliseNetwork(network({ preset: 'RESNEXT50_32X4D', architecture: nulls }))).toEqual(
    normaliseNetwork(network({ preset: 'RESNEXT50_32X4D' })),
  );
});

it('takes an 18-layer basic network for what an architecture without a preset leaves out', () => {
  const alone = normaliseNetwork({ architecture: {}, inputShape: RGB, numClasses: 10 });
  expect(alone).toEqual({ ...normaliseNetwork(network({ preset: 'RESNET18' })), preset: null });
});

it('stores plain objects, whatever class the input is of', () => {
  class Stage {
    blocks = 1;
    width = 8;
    stride = 1;
  }
  const definition = normaliseNetwork(changed({ stages: [new Stage()] }));
  expect(Object.getPrototypeOf(definition.stages[0])).toBe(Object.prototype);
});

it.each([
  [network({ preset: 'RESNET51' as PresetName }), 'input.preset'],
  [network({ preset: 'constructor' as PresetName }), 'input.preset'],
  [{ inputShape: RGB, numClasses: 10 }, 'input.preset'],
  [network({ numClasses: 0 }), 'input.classNames'],
  [network({ numClasses: 1 }), 'input.classNames'],
  [network({ numClasses: 1_000_000 }), 'input.classNames'],
  [network({ inputShape: { ...RGB, channels: 2 } }), 'input.inputShape.channels'],
  [network({ inputShape: { ...RGB, height: 0 } }), 'input.inputShape.height'],
  [network({ inputShape: { ...RGB, width: 2.5 } }), 'input.inputShape.width'],
  [network({ inputShape: { ...RGB, width: 1e9 } }), 'input.inputShape.width'],
  [changed({ block: 'ROUND' }), 'input.architecture.block'],
  [changed({ stem: { kind: 'CONV5X5', width: 64 } }), 'input.architecture.stem.kind'],
  [changed({ stem: { kind: 'CONV3X3', width: 0 } }), 'input.architecture.stem.width'],
  [changed({ stem: { kind: 'DEEP3X3_POOL', width: 1 } }), 'input.architecture.stem.width'],
  [changed({ stages: [] }), 'input.architecture.stages'],
  [changed({ stages: Array(17).fill({ blocks: 1, width: 8, stride: 1 }) }), 'input.architecture.stages'],
  [changed({ stages: Array(2).fill({ blocks: 999, width: 8, stride: 1 }) }), 'input.architecture.stages'],
  [changed({ stages: [{ blocks: 0, width: 8, stride: 1 }] }), 'input.architecture.stages.0.blocks'],
  [changed({ stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 1.5, stride: 1 }] }), 'input.architecture.stages.1.width'],
  [changed({ stages: [{ blocks: 1, width: 8, stride: -2 }] }), 'input.architecture.stages.0.stride'],
  [changed({ shortcut: 'NONE' }), 'input.architecture.shortcut'],
  [changed({ shortcutNorm: 'yes' }), 'input.architecture.shortcutNorm'],
  [changed({ groups: 0 }), 'input.architecture.groups'],
  [changed({ groups: 7 }), 'input.architecture.groups'],
  [changed({ block: 'BASIC', groups: 2 }), 'input.architecture.groups'],
  [changed({ widthPerGroup: -4 }), 'input.architecture.widthPerGroup'],
  [changed({ widthPerGroup: 1, stages: [{ blocks: 1, width: 32, stride: 1 }] }), 'input.architecture.widthPerGroup'],
  [changed({ block: 'BASIC', widthPerGroup: 4 }), 'input.architecture.widthPerGroup'],
  [changed({ widthMultiplier: 0 }), 'input.architecture.widthMultiplier'],
  [changed({ widthMultiplier: Number.NaN }), 'input.architecture.widthMultiplier'],
  [changed({ widthMultiplier: 0.001 }), 'input.architecture.widthMultiplier'],
  [changed({ squeezeExcitation: -1 }), 'input.architecture.squeezeExcitation'],
  [changed({ squeezeExcitation: 0.5 }), 'input.architecture.squeezeExcitation'],
  [changed({ squeezeExcitation: 257 }), 'input.architecture.squeezeExcitation'],
  [changed({ dropPath: 1 }), 'input.architecture.dropPath'],
  [changed({ dropout: -0.1 }), 'input.architecture.dropout'],
  [changed({ dropout: Number.NaN }), 'input.architecture.dropout'],
  [
    changed({ shortcut: 'IDENTITY_PAD', stages: [{ blocks: 1, width: 64, stride: 1 }, { blocks: 1, width: 32, stride: 1 }] }),
    'input.architecture.stages.1.width',
  ],
] as [NetworkInput, string][])('refuses %j and names %s', (input, field) => {
  const error = refusal(input);
  expect([error.code, error.field]).toEqual(['BAD_USER_INPUT', field]);
});

it("names a query's own arguments where the prefix is empty", () => {
  expect(refusal(network({ numClasses: 0 }), '').field).toBe('numClasses');
  expect(refusal(changed({ dropout: 2 }), '').field).toBe('architecture.dropout');
});

it('says how many pixels the strides need, and accepts just as many', () => {
  const sized = (height: number) => network({ inputShape: { height, width: 17, channels: 1 } });
  const error = refusal(sized(16));
  expect(error.field).toBe('input.inputShape.height');
  expect(error.message).toContain('at least 17');
  const graph = buildGraph(normaliseNetwork(sized(17)));
  expect(graph.nodes.find(({ name }) => name === 'layer4.2.add')!.outputShape).toEqual([2048, 1, 1]);
});

it('blames a stage whose stride alone is past the image', () => {
  const architecture = { stages: [{ blocks: 1, width: 8, stride: 1 }, { blocks: 1, width: 8, stride: 16 }] };
  const error = refusal({ architecture, inputShape: { height: 8, width: 8, channels: 3 }, numClasses: 10 });
  expect(error.field).toBe('input.architecture.stages.1.stride');
});

it.each([
  [[], 1],
  [[1, 1], 1],
  [[2], 2],
  [[1, 2, 2], 3],
  [[2, 2, 1, 2, 2, 2], 17],
  [[3, 2], 4],
] as [number[], number][])('needs for strides %j a side of %d: one pixel less meets a stride past its map', (strides, side) => {
  expect(smallestSide(strides)).toBe(side);
  const passes = (start: number) => {
    let pixels = start;
    return strides.every((stride) => {
      const fits = pixels >= stride;
      pixels = Math.ceil(pixels / stride);
      return fits;
    });
  };
  expect(passes(side)).toBe(true);
  if (side > 1) expect(passes(side - 1)).toBe(false);
});

it.each([
  [{ stages: [{ blocks: 250, width: 65_536, stride: 1 }] }, 'input.architecture.stages'],
  [{ widthMultiplier: 64 }, 'input.architecture.widthMultiplier'],
  [{ widthPerGroup: 65_536 }, 'input.architecture.widthPerGroup'],
] as [ArchitectureInput, string][])('refuses %j for its parameters within a second', (architecture, field) => {
  const started = performance.now();
  const error = refusal(network({ architecture }));
  expect(performance.now() - started).toBeLessThan(1_000);
  expect(error.field).toBe(field);
  expect(error.message).toMatch(/[\d,]+ parameters; at most 500,000,000/);
});

it('counts the largest network that it accepts within a second of CPU', () => {
  const before = process.cpuUsage();
  const stages = [{ blocks: 1_000, width: 64, stride: 1 }];
  const architecture: ArchitectureInput = { block: 'PREACT_BOTTLENECK', stages, squeezeExcitation: 4, dropPath: 0.1, dropout: 0.1 };
  expect(summariseNetwork(normaliseNetwork(network({ architecture }))).depth).toBe(3_002);
  const { user, system } = process.cpuUsage(before);
  expect(user + system).toBeLessThan(1_000_000);
});
