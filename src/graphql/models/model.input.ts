import { Field, Float, InputType, Int } from 'type-graphql';
import type { BlockKind, PresetName, ShortcutKind, StemKind } from '../../domain/network/definition.js';
import { BlockKindEnum, ResNetPreset, ShortcutKindEnum, StemKindEnum } from './architecture.type.js';

@InputType()
export class ImageShapeInput {
  @Field(() => Int) height!: number;
  @Field(() => Int) width!: number;
  @Field(() => Int) channels!: number;
}

@InputType()
export class StageInput {
  @Field(() => Int) blocks!: number;
  @Field(() => Int) width!: number;
  @Field(() => Int, { defaultValue: 2 }) stride!: number;
}

@InputType()
export class StemInput {
  @Field(() => StemKindEnum) kind!: StemKind;
  @Field(() => Int) width!: number;
}

@InputType({ description: "Every field left out keeps the preset's value (or, without a preset, BASIC's defaults)." })
export class ArchitectureInput {
  @Field(() => BlockKindEnum, { nullable: true }) block?: BlockKind;
  @Field(() => StemInput, { nullable: true }) stem?: StemInput;
  @Field(() => [StageInput], { nullable: true }) stages?: StageInput[];
  @Field(() => ShortcutKindEnum, { nullable: true }) shortcut?: ShortcutKind;
  @Field(() => Boolean, { nullable: true, description: 'False: the projection has no batch norm.' })
  shortcutNorm?: boolean;
  @Field(() => Int, { nullable: true, description: "ResNeXt's cardinality." }) groups?: number;
  @Field(() => Int, { nullable: true }) widthPerGroup?: number;
  @Field(() => Float, { nullable: true, description: "Wide ResNet's k." }) widthMultiplier?: number;
  @Field(() => Float, { nullable: true, description: 'Reduction ratio of squeeze and excitation, 0 for none.' })
  squeezeExcitation?: number;
  @Field(() => Boolean, { nullable: true, description: 'v1 (true) or v1.5 (false) bottleneck.' })
  strideInFirstConv?: boolean;
  @Field(() => Boolean, { nullable: true }) convBias?: boolean;
  @Field(() => Float, { nullable: true, description: "Stochastic depth: the last block's rate; linear over depth." })
  dropPath?: number;
  @Field(() => Float, { nullable: true, description: "Rate before each block's last convolution." })
  dropout?: number;
  @Field(() => Boolean, { nullable: true }) zeroInitResidual?: boolean;
}

@InputType()
export class DefineModelInput {
  @Field(() => String, { description: '[a-z0-9][a-z0-9._-]{0,62}, unique.' }) name!: string;
  @Field(() => ResNetPreset, { nullable: true }) preset?: PresetName;
  @Field(() => ArchitectureInput, { nullable: true }) architecture?: ArchitectureInput;
  @Field(() => ImageShapeInput) inputShape!: ImageShapeInput;
  @Field(() => [String], { description: '2 to 10,000, unique.' }) classNames!: string[];
  @Field(() => String, { nullable: true }) description?: string;
}
