import { Field, Int, ObjectType } from 'type-graphql';
import {
  BLOCK_KINDS,
  PRESET_NAMES,
  SHORTCUT_KINDS,
  STEM_KINDS,
  type NetworkDefinition,
  type PresetName,
} from '../../domain/network/definition.js';
import type { NodeKind, Shape } from '../../domain/network/graph.js';
import { BigIntValue, JSONValue } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const ResNetPreset = schemaEnum('ResNetPreset', PRESET_NAMES);
export const BlockKindEnum = schemaEnum('BlockKind', BLOCK_KINDS);
export const StemKindEnum = schemaEnum('StemKind', STEM_KINDS);
export const ShortcutKindEnum = schemaEnum('ShortcutKind', SHORTCUT_KINDS);

@ObjectType()
export class LayerSummary {
  @Field(() => String, { description: "torchvision's name: layer1.0.conv1" }) name!: string;
  @Field(() => String) kind!: NodeKind;
  @Field(() => [Int], { description: 'C, H, W' }) outputShape!: Shape;
  @Field(() => Int, { description: 'Trainable.' }) parameters!: number;
  @Field(() => BigIntValue, { description: 'A multiply-add counts as two; batch 1.' }) flops!: number;
}

@ObjectType()
export class Architecture {
  @Field(() => ResNetPreset, { nullable: true }) preset!: PresetName | null;
  @Field(() => JSONValue, { description: 'The full normalised definition: defining from it gives the same network.' })
  definition!: NetworkDefinition;
  @Field(() => Int, { description: "Weighted layers on the longest path, the paper's count." }) depth!: number;
  @Field(() => Int, { description: 'Trainable.' }) parameters!: number;
  @Field(() => BigIntValue, { description: 'One forward pass, batch 1.' }) flops!: bigint;
  @Field(() => BigIntValue, { description: 'At the peak, float32, batch 1.' }) activationBytes!: bigint;
  @Field(() => [LayerSummary], { description: 'In the order of execution.' }) layers!: readonly LayerSummary[];
}
