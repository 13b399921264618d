import type { ImageShape, NetworkArchitecture, PresetName, StageDefinition } from './definition.js';

export type { PresetName } from './definition.js';

/** An architecture and the images and classes that its paper reports it for. */
export interface Preset extends NetworkArchitecture {
  readonly paperInputShape: ImageShape;
  readonly paperClasses: number;
}

const IMAGENET = { paperInputShape: { height: 224, width: 224, channels: 3 }, paperClasses: 1000 };
const CIFAR = { paperInputShape: { height: 32, width: 32, channels: 3 }, paperClasses: 10 };

/** Widths double and sides halve from stage to stage. */
function stages(firstWidth: number, blocks: readonly number[]): StageDefinition[] {
  return blocks.map((count, index) => ({ blocks: count, width: firstWidth * 2 ** index, stride: index === 0 ? 1 : 2 }));
}

/** What is left out of an architecture without a preset: He et al. 2015, table 1, 18 layers. */
export const DEFAULT_ARCHITECTURE: NetworkArchitecture = {
  block: 'BASIC',
  stem: { kind: 'CONV7X7_POOL', width: 64 },
  stages: stages(64, [2, 2, 2, 2]),
  shortcut: 'PROJECTION',
  shortcutNorm: true,
  groups: 1,
  widthPerGroup: null,
  widthMultiplier: 1,
  squeezeExcitation: 0,
  strideInFirstConv: false,
  convBias: false,
  dropPath: 0,
  dropout: 0,
  zeroInitResidual: false,
};

const imagenet = (changes: Partial<NetworkArchitecture>): Preset => ({
  ...DEFAULT_ARCHITECTURE,
  ...IMAGENET,
  ...changes,
});
const basic = (...blocks: number[]) => imagenet({ stages: stages(64, blocks) });
const bottleneck = (blocks: number[], changes: Partial<NetworkArchitecture> = {}) =>
  imagenet({ block: 'BOTTLENECK', stages: stages(64, blocks), ...changes });

/** Three stages of 16, 32 and 64 channels on 32x32 images; `blocks` in each. */
const cifar = (blocks: number, changes: Partial<NetworkArchitecture>): Preset => ({
  ...DEFAULT_ARCHITECTURE,
  ...CIFAR,
  stem: { kind: 'CONV3X3', width: 16 },
  stages: stages(16, [blocks, blocks, blocks]),
  ...changes,
});
const padded = (blocks: number) => cifar(blocks, { shortcut: 'IDENTITY_PAD' });
const preActivated = (blocks: number) => cifar(blocks, { block: 'PREACT_BASIC', shortcutNorm: false });
const wide = (blocks: number, widthMultiplier: number) =>
  cifar(blocks, { block: 'PREACT_BASIC', shortcutNorm: false, widthMultiplier });

export const PRESETS: Record<PresetName, Preset> = {
  // He et al. 2015, "Deep Residual Learning", table 1; v1.5 strides as in torchvision.
  RESNET18: basic(2, 2, 2, 2),
  RESNET34: basic(3, 4, 6, 3),
  RESNET50: bottleneck([3, 4, 6, 3]),
  RESNET101: bottleneck([3, 4, 23, 3]),
  RESNET152: bottleneck([3, 8, 36, 3]),
  // He et al. 2015, section 4.2: 6n + 2 layers, shortcut A.
  RESNET20: padded(3),
  RESNET32: padded(5),
  RESNET44: padded(7),
  RESNET56: padded(9),
  RESNET110: padded(18),
  // He et al. 2016, "Identity Mappings": 6n + 2 layers, with bottlenecks 9n + 2.
  PREACT_RESNET20: preActivated(3),
  PREACT_RESNET56: preActivated(9),
  PREACT_RESNET110: preActivated(18),
  PREACT_RESNET164: cifar(18, { block: 'PREACT_BOTTLENECK', shortcutNorm: false }),
  // Xie et al. 2017, "Aggregated Residual Transformations".
  RESNEXT50_32X4D: bottleneck([3, 4, 6, 3], { groups: 32, widthPerGroup: 4 }),
  RESNEXT101_32X8D: bottleneck([3, 4, 23, 3], { groups: 32, widthPerGroup: 8 }),
  RESNEXT101_64X4D: bottleneck([3, 4, 23, 3], { groups: 64, widthPerGroup: 4 }),
  // Zagoruyko and Komodakis 2016, "Wide Residual Networks": 6n + 4 convolutions in the narrow-image ones.
  WIDE_RESNET50_2: bottleneck([3, 4, 6, 3], { widthMultiplier: 2 }),
  WIDE_RESNET101_2: bottleneck([3, 4, 23, 3], { widthMultiplier: 2 }),
  WIDE_RESNET16_4: wide(2, 4),
  WIDE_RESNET28_10: wide(4, 10),
  WIDE_RESNET40_4: wide(6, 4),
  // Hu et al. 2018, "Squeeze-and-Excitation Networks", reduction ratio 16.
  SE_RESNET18: imagenet({ squeezeExcitation: 16 }),
  SE_RESNET50: bottleneck([3, 4, 6, 3], { squeezeExcitation: 16 }),
  // He T. et al. 2019, "Bag of Tricks", figure 2.
  RESNET50D: bottleneck([3, 4, 6, 3], { stem: { kind: 'DEEP3X3_POOL', width: 64 }, shortcut: 'AVERAGE_POOL' }),
  RESNET18_CIFAR: cifar(2, { stem: { kind: 'CONV3X3', width: 64 }, stages: stages(64, [2, 2, 2, 2]) }),
  NOTEBOOK: cifar(2, {
    block: 'BOTTLENECK',
    stem: { kind: 'CONV3X3', width: 64 },
    stages: stages(64, [2, 2]),
    shortcutNorm: false,
    strideInFirstConv: true,
    convBias: true,
  }),
};
