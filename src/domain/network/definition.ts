/**
 * The full description of a residual network, every default filled in: what `normaliseNetwork` gives, what a model's
 * row stores and what `buildGraph` reads. Plain JSON; defining a model from its fields gives the same network.
 */
export interface NetworkDefinition {
  /** The preset that it started from; its other fields may have been changed since. */
  readonly preset: PresetName | null;
  readonly inputShape: ImageShape;
  readonly numClasses: number;
  readonly block: BlockKind;
  readonly stem: StemDefinition;
  readonly stages: readonly StageDefinition[];
  readonly shortcut: ShortcutKind;
  /** Whether a projection is followed by a batch norm. */
  readonly shortcutNorm: boolean;
  /** Groups of a bottleneck's 3x3 convolution: ResNeXt's cardinality. */
  readonly groups: number;
  /**
   * Channels of each group where the stage's width is 64, in proportion elsewhere (torchvision's `width_per_group`);
   * null: the groups share the stage's width.
   */
  readonly widthPerGroup: number | null;
  /** Wide ResNet's k: widens the 3x3 convolutions. A bottleneck's outer channels stay as they are. */
  readonly widthMultiplier: number;
  /** Reduction ratio of squeeze and excitation; 0 for none. */
  readonly squeezeExcitation: number;
  /** Where a bottleneck's stride lies: its first 1x1 (v1) or its 3x3 (v1.5). */
  readonly strideInFirstConv: boolean;
  readonly convBias: boolean;
  /** Stochastic depth's rate at the last block; block l of L has l / L of it. */
  readonly dropPath: number;
  /** Rate before each block's last convolution, as in Wide ResNet. */
  readonly dropout: number;
  /** Every block starts as the identity. */
  readonly zeroInitResidual: boolean;
}

/** What a definition says apart from the images and the classes. */
export type NetworkArchitecture = Omit<NetworkDefinition, 'preset' | 'inputShape' | 'numClasses'>;

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}
export interface StemDefinition {
  readonly kind: StemKind;
  readonly width: number;
}
export interface StageDefinition {
  readonly blocks: number;
  /** Channels of the block's 3x3 convolutions before any multiplier; a bottleneck puts out four times as many. */
  readonly width: number;
  /** Of the stage's first block. */
  readonly stride: number;
}

export const BLOCK_KINDS = ['BASIC', 'BOTTLENECK', 'PREACT_BASIC', 'PREACT_BOTTLENECK'] as const;
export type BlockKind = (typeof BLOCK_KINDS)[number];

export const STEM_KINDS = ['CONV3X3', 'CONV7X7_POOL', 'DEEP3X3_POOL'] as const;
export type StemKind = (typeof STEM_KINDS)[number];

/** He's A, B and C, and ResNet-D's. */
export const SHORTCUT_KINDS = ['IDENTITY_PAD', 'PROJECTION', 'PROJECTION_ALL', 'AVERAGE_POOL'] as const;
export type ShortcutKind = (typeof SHORTCUT_KINDS)[number];

export const PRESET_NAMES = [
  'RESNET18', 'RESNET34', 'RESNET50', 'RESNET101', 'RESNET152',
  'RESNET20', 'RESNET32', 'RESNET44', 'RESNET56', 'RESNET110',
  'PREACT_RESNET20', 'PREACT_RESNET56', 'PREACT_RESNET110', 'PREACT_RESNET164',
  'RESNEXT50_32X4D', 'RESNEXT101_32X8D', 'RESNEXT101_64X4D',
  'WIDE_RESNET50_2', 'WIDE_RESNET101_2', 'WIDE_RESNET16_4', 'WIDE_RESNET28_10', 'WIDE_RESNET40_4',
  'SE_RESNET18', 'SE_RESNET50', 'RESNET50D', 'RESNET18_CIFAR', 'NOTEBOOK',
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

export const isPreActivated = (block: BlockKind) => block.startsWith('PREACT');
export const isBottleneck = (block: BlockKind) => block.endsWith('BOTTLENECK');

/** Channels inside and behind the blocks of a stage. */
export interface BlockWidths {
  readonly inner: number;
  readonly output: number;
}

/**
 * Basic blocks: both widened (Zagoruyko and Komodakis 2016). Bottlenecks: torchvision's
 * `int(planes * (base_width / 64)) * groups` inside and 4 * planes behind.
 */
export function blockWidths(architecture: NetworkArchitecture, stage: StageDefinition): BlockWidths {
  const { block, groups, widthPerGroup, widthMultiplier } = architecture;
  const width = Math.round(stage.width * widthMultiplier);
  if (!isBottleneck(block)) return { inner: width, output: width };
  const inner = widthPerGroup === null ? width : Math.floor((width * widthPerGroup) / 64) * groups;
  return { inner, output: 4 * stage.width };
}
