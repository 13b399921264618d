import { Arg, Ctx, FieldResolver, Mutation, Resolver, Root } from 'type-graphql';
import type { Model } from '../../infra/prisma/client.js';
import { configureServing, servingSettings } from '../../models/configure-serving.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { ModelType } from './model.type.js';
import { ServingSettingsInput, ServingSettingsType } from './serving-settings.type.js';

@Resolver(() => ModelType)
export class ServingSettingsResolver {
  @Requires('TRAINER')
  @Mutation(() => ServingSettingsType, { description: 'Every server goes by it within two seconds.' })
  async configureServing(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('input', () => ServingSettingsInput) input: ServingSettingsInput,
  ) {
    return configureServing(services, model, input);
  }

  @FieldResolver(() => ServingSettingsType)
  serving(@Root() model: Model) {
    return servingSettings(model);
  }
}
