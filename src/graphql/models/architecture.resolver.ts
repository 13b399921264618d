import { Arg, Int, Query, Resolver } from 'type-graphql';
import type { NetworkDefinition, PresetName } from '../../domain/network/definition.js';
import { summariseNetwork } from '../../domain/network/flops.js';
import { normaliseNetwork } from '../../domain/network/normalise.js';
import { PRESETS } from '../../domain/network/presets.js';
import { Requires } from '../access/authorise.js';
import { Architecture, ResNetPreset } from './architecture.type.js';
import { ArchitectureInput, ImageShapeInput } from './model.input.js';

@Resolver(() => Architecture)
export class ArchitectureResolver {
  @Requires('VIEWER')
  @Query(() => [Architecture], { description: "Each preset at its paper's input shape and number of classes." })
  presets(): Architecture[] {
    return Object.values(ResNetPreset).map(describePreset);
  }

  @Requires('VIEWER')
  @Query(() => Architecture, { description: 'What a model defined like this would be. Nothing is stored.' })
  previewArchitecture(
    @Arg('inputShape', () => ImageShapeInput) inputShape: ImageShapeInput,
    @Arg('numClasses', () => Int, { description: '2 to 10,000.' }) numClasses: number,
    @Arg('preset', () => ResNetPreset, { nullable: true }) preset?: PresetName,
    @Arg('architecture', () => ArchitectureInput, { nullable: true }) architecture?: ArchitectureInput,
  ): Architecture {
    const input = { preset: preset ?? null, architecture: architecture ?? null, inputShape, numClasses };
    return describeArchitecture(normaliseNetwork(input, ''));
  }
}

/** Counts without making a tensor. */
export function describeArchitecture(definition: NetworkDefinition): Architecture {
  return { preset: definition.preset, definition, ...summariseNetwork(definition) };
}

function describePreset(preset: PresetName): Architecture {
  const { paperInputShape: inputShape, paperClasses: numClasses } = PRESETS[preset];
  return describeArchitecture(normaliseNetwork({ preset, inputShape, numClasses }));
}
