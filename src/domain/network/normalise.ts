import { badInput } from '../../errors.js';
import { boolean, integer, multiplier, oneOf, rate, ratio } from './checks.js';
import {
  BLOCK_KINDS,
  PRESET_NAMES,
  SHORTCUT_KINDS,
  STEM_KINDS,
  blockWidths,
  isBottleneck,
  type ImageShape,
  type NetworkArchitecture,
  type NetworkDefinition,
  type PresetName,
  type StageDefinition,
  type StemDefinition,
} from './definition.js';
import { countParameters } from './flops.js';
import { buildGraph } from './layers.js';
import { DEFAULT_ARCHITECTURE, PRESETS } from './presets.js';

export type { NetworkDefinition } from './definition.js';

/** The contract's `ArchitectureInput`: null and left out both keep the preset's value. */
export type ArchitectureInput = { readonly [K in keyof NetworkArchitecture]?: NetworkArchitecture[K] | null };

export interface NetworkInput {
  readonly preset?: PresetName | null;
  readonly architecture?: ArchitectureInput | null;
  readonly inputShape: ImageShape;
  readonly numClasses: number;
}

/** Together they keep any definition's graph under 20,000 nodes, so that it can be built and counted at once. */
export const LIMITS = {
  stages: 16,
  /** Of all stages together; ResNet-1202 has 600. */
  blocks: 1_000,
  width: 65_536,
  stride: 16,
  side: 2_048,
  classes: 10_000,
  widening: 64,
  /** Their float32 bytes stay under the 2 GiB that an ONNX file can hold. */
  parameters: 500_000_000,
} as const;

/**
 * Fills in every default and refuses what cannot be built; a definition's own fields give the definition again.
 * @param fieldPrefix of the argument that the input came from; '' where its fields are arguments themselves.
 * @throws ResidualError BAD_USER_INPUT with the field at fault.
 */
export function normaliseNetwork(input: NetworkInput, fieldPrefix = 'input'): NetworkDefinition {
  const at = (field: string) => (fieldPrefix === '' ? field : `${fieldPrefix}.${field}`);
  const base = findBase(input, at('preset'));
  const classes = at(fieldPrefix === '' ? 'numClasses' : 'classNames');
  const definition: NetworkDefinition = {
    preset: input.preset ?? null,
    inputShape: checkImageShape(input.inputShape, at('inputShape')),
    numClasses: integer(input.numClasses, classes, 2, LIMITS.classes, 'classes'),
    ...checkArchitecture(given(input.architecture), base, at('architecture')),
  };
  checkSides(definition, input, at);
  checkSize(definition, given(input.architecture), at('architecture'));
  return definition;
}

type GivenArchitecture = { readonly [K in keyof NetworkArchitecture]?: NonNullable<NetworkArchitecture[K]> };

/** The fields that have a value. */
function given(architecture: ArchitectureInput | null | undefined): GivenArchitecture {
  const entries = Object.entries(architecture ?? {}).filter(([, value]) => value !== null && value !== undefined);
  return Object.fromEntries(entries);
}

function findBase({ preset, architecture }: NetworkInput, field: string): NetworkArchitecture {
  if (preset && !Object.hasOwn(PRESETS, preset))
    throw badInput(field, `There is no preset ${JSON.stringify(preset)}; there are ${PRESET_NAMES.join(', ')}.`);
  if (preset) return PRESETS[preset];
  if (architecture) return DEFAULT_ARCHITECTURE;
  throw badInput(field, 'Give a preset, an architecture, or both.');
}

function checkImageShape({ height, width, channels }: ImageShape, field: string): ImageShape {
  if (channels !== 1 && channels !== 3)
    throw badInput(`${field}.channels`, `An image has 1 channel (grey) or 3 (RGB), not ${channels}.`);
  return {
    height: integer(height, `${field}.height`, 1, LIMITS.side, 'pixels'),
    width: integer(width, `${field}.width`, 1, LIMITS.side, 'pixels'),
    channels,
  };
}

function checkArchitecture(input: GivenArchitecture, base: NetworkArchitecture, field: string): NetworkArchitecture {
  const at = (name: keyof NetworkArchitecture) => `${field}.${name}`;
  const flag = (name: 'shortcutNorm' | 'strideInFirstConv' | 'convBias' | 'zeroInitResidual') =>
    boolean(input[name] ?? base[name], at(name));
  const architecture: NetworkArchitecture = {
    block: oneOf(BLOCK_KINDS, input.block ?? base.block, at('block')),
    stem: checkStem(input.stem ?? base.stem, at('stem')),
    stages: checkStages(input.stages ?? base.stages, at('stages')),
    shortcut: oneOf(SHORTCUT_KINDS, input.shortcut ?? base.shortcut, at('shortcut')),
    shortcutNorm: flag('shortcutNorm'),
    groups: integer(input.groups ?? base.groups, at('groups'), 1, LIMITS.width),
    widthPerGroup: checkWidthPerGroup(input.widthPerGroup ?? base.widthPerGroup, at('widthPerGroup')),
    widthMultiplier: multiplier(input.widthMultiplier ?? base.widthMultiplier, at('widthMultiplier'), LIMITS.widening),
    squeezeExcitation: ratio(input.squeezeExcitation ?? base.squeezeExcitation, at('squeezeExcitation')),
    strideInFirstConv: flag('strideInFirstConv'),
    convBias: flag('convBias'),
    dropPath: rate(input.dropPath ?? base.dropPath, at('dropPath')),
    dropout: rate(input.dropout ?? base.dropout, at('dropout')),
    zeroInitResidual: flag('zeroInitResidual'),
  };
  checkGroups(architecture, field);
  checkChannels(architecture, field);
  return architecture;
}

function checkWidthPerGroup(value: number | null, field: string): number | null {
  return value === null ? null : integer(value, field, 1, LIMITS.width, 'channels');
}

function checkStem({ kind, width }: StemDefinition, field: string): StemDefinition {
  const smallest = kind === 'DEEP3X3_POOL' ? 2 : 1;
  return {
    kind: oneOf(STEM_KINDS, kind, `${field}.kind`),
    width: integer(width, `${field}.width`, smallest, LIMITS.width, 'channels'),
  };
}

function checkStages(stages: readonly StageDefinition[], field: string): StageDefinition[] {
  if (!Array.isArray(stages) || stages.length < 1 || stages.length > LIMITS.stages)
    throw badInput(field, `A network has 1 to ${LIMITS.stages} stages, not ${stages.length}.`);
  const checked = stages.map(({ blocks, width, stride }: StageDefinition, index) => ({
    blocks: integer(blocks, `${field}.${index}.blocks`, 1, LIMITS.blocks, 'blocks'),
    width: integer(width, `${field}.${index}.width`, 1, LIMITS.width, 'channels'),
    stride: integer(stride, `${field}.${index}.stride`, 1, LIMITS.stride),
  }));
  const blocks = checked.reduce((sum, stage) => sum + stage.blocks, 0);
  if (blocks > LIMITS.blocks)
    throw badInput(field, `The stages have ${blocks} blocks together; at most ${LIMITS.blocks} are allowed.`);
  return checked;
}

function checkGroups(architecture: NetworkArchitecture, field: string): void {
  const { block, groups, widthPerGroup, stages } = architecture;
  if (!isBottleneck(block)) {
    if (groups !== 1)
      throw badInput(`${field}.groups`, `${block} blocks have 1 group, not ${groups}; groups need a bottleneck block.`);
    if (widthPerGroup !== null && widthPerGroup !== 64)
      throw badInput(`${field}.widthPerGroup`, `${block} blocks take no widthPerGroup but 64; widthMultiplier widens them.`);
    return;
  }
  for (const [index, stage] of stages.entries()) {
    const { inner } = blockWidths(architecture, stage);
    if (inner % groups !== 0)
      throw badInput(`${field}.groups`, `${groups} groups do not divide the ${inner} channels of stage ${index + 1}.`);
  }
}

/** Every convolution has a channel, the squeezed ones too, and padding only ever adds channels. */
function checkChannels(architecture: NetworkArchitecture, field: string): void {
  const { shortcut, squeezeExcitation, widthPerGroup } = architecture;
  let channels = architecture.stem.width;
  for (const [index, stage] of architecture.stages.entries()) {
    const { inner, output } = blockWidths(architecture, stage);
    if (inner < 1 || output < 1) {
      const cause = widthPerGroup === null ? 'widthMultiplier' : 'widthPerGroup';
      throw badInput(`${field}.${cause}`, `It leaves stage ${index + 1} (width ${stage.width}) without a channel; it must be larger.`);
    }
    if (squeezeExcitation > output)
      throw badInput(`${field}.squeezeExcitation`, `It must be at most ${output}, the channels of stage ${index + 1}.`);
    if (shortcut === 'IDENTITY_PAD' && output < channels)
      throw badInput(
        `${field}.stages.${index}.width`,
        `IDENTITY_PAD cannot reduce ${channels} channels to ${output}; give a larger width, or the shortcut PROJECTION.`,
      );
    channels = output;
  }
}

/** No stride may reach past the map that it meets. */
function checkSides(definition: NetworkDefinition, input: NetworkInput, at: (field: string) => string): void {
  const { stem, stages, inputShape } = definition;
  const strides = [...(stem.kind === 'CONV3X3' ? [] : [2, 2]), ...stages.map(({ stride }) => stride)];
  const needed = smallestSide(strides);
  for (const side of ['height', 'width'] as const) {
    if (inputShape[side] >= needed) continue;
    const past = input.architecture?.stages?.findIndex(({ stride }) => stride > inputShape[side]) ?? -1;
    if (past >= 0)
      throw badInput(at(`architecture.stages.${past}.stride`), `It must be at most ${inputShape[side]}, the image's ${side}.`);
    throw badInput(
      at(`inputShape.${side}`),
      `${inputShape[side]} pixels are too few for strides of ${strides.join(', ')}; at least ${needed} are needed.`,
    );
  }
}

/** A side of n becomes ceil(n / stride), and a stride needs n >= stride. Read from the last stride back. */
export function smallestSide(strides: readonly number[]): number {
  return strides.reduceRight((needed, stride) => Math.max(stride, (needed - 1) * stride + 1), 1);
}

function checkSize(definition: NetworkDefinition, input: GivenArchitecture, field: string): void {
  const parameters = countParameters(buildGraph(definition));
  if (parameters <= LIMITS.parameters) return;
  const causes = ['widthMultiplier', 'stages', 'widthPerGroup', 'groups', 'stem'] as const;
  const cause = causes.find((name) => input[name] !== undefined && input[name] !== 1);
  throw badInput(
    cause ? `${field}.${cause}` : field,
    `The network would have ${parameters.toLocaleString('en')} parameters; at most ${LIMITS.parameters.toLocaleString('en')} are allowed.`,
  );
}
