import { Arg, Ctx, Int, Mutation, Resolver } from 'type-graphql';
import { removeAlias } from '../../registry/remove-alias.js';
import { setAlias } from '../../registry/set-alias.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { ModelAliasType } from './alias.type.js';

@Resolver()
export class AliasResolver {
  @Requires('TRAINER')
  @Mutation(() => ModelAliasType, {
    description: 'Lets model@alias mean that version, wherever it pointed before; predictions follow within 2 seconds.',
  })
  async setAlias(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('alias', () => String, { description: '[a-z][a-z0-9._-]{0,62}, not latest. A bare name is @production.' })
    alias: string,
    @Arg('version', () => Int) version: number,
  ) {
    return setAlias(services, model, alias, version);
  }

  @Requires('TRAINER')
  @Mutation(() => Boolean, { description: 'The version that it pointed at stays.' })
  async removeAlias(
    @Ctx() { services }: Context,
    @Arg('model', () => String) model: string,
    @Arg('alias', () => String) alias: string,
  ) {
    return removeAlias(services, model, alias);
  }
}
