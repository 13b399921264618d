import { Arg, Args, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { NetworkDefinition } from '../../domain/network/definition.js';
import type { Model } from '../../infra/prisma/client.js';
import { defineModel } from '../../models/define-model.js';
import { deleteModel } from '../../models/delete-model.js';
import { findModel, listModels } from '../../models/find-model.js';
import { findVersion, listVersions } from '../../registry/find-version.js';
import { listRuns } from '../../runs/read-runs.js';
import { Requires } from '../access/authorise.js';
import { ConnectionArguments, pageArguments, toConnection } from '../connection.js';
import type { Context } from '../context.js';
import { ModelAliasType } from '../registry/alias.type.js';
import { ModelVersionConnection, ModelVersionType } from '../registry/version.type.js';
import { TrainingRunConnection } from '../training/run.type.js';
import { describeArchitecture } from './architecture.resolver.js';
import { Architecture } from './architecture.type.js';
import { DefineModelInput } from './model.input.js';
import { ImageShapeType, ModelConnection, ModelType } from './model.type.js';

@Resolver(() => ModelType)
export class ModelResolver {
  @Requires('VIEWER')
  @Query(() => ModelType, { nullable: true })
  async model(@Ctx() { services }: Context, @Arg('name', () => String) name: string) {
    return findModel(services, name);
  }

  @Requires('VIEWER')
  @Query(() => ModelConnection, { description: 'The newest first.' })
  async models(
    @Ctx() { services }: Context,
    @Args(() => ConnectionArguments) page: ConnectionArguments,
    @Arg('search', () => String, { nullable: true, description: 'A part of the name or the description, in any case.' })
    search?: string,
  ) {
    return toConnection(await listModels(services, { ...pageArguments(page), search }));
  }

  @Requires('TRAINER')
  @Mutation(() => ModelType)
  async defineModel(@Ctx() { services }: Context, @Arg('input', () => DefineModelInput) input: DefineModelInput) {
    return defineModel(services, input);
  }

  @Requires('TRAINER')
  @Mutation(() => Boolean, { description: 'Refused while a run of it is active. Its runs and versions go with it.' })
  async deleteModel(@Ctx() { services }: Context, @Arg('name', () => String) name: string) {
    return deleteModel(services, name);
  }

  @FieldResolver(() => TrainingRunConnection, { description: 'The newest first.' })
  async runs(
    @Root() model: Model,
    @Ctx() { services }: Context,
    @Args(() => ConnectionArguments) page: ConnectionArguments,
  ) {
    return toConnection(await listRuns(services, { model: model.name }, pageArguments(page)));
  }

  @FieldResolver(() => ModelVersionConnection, { description: 'The newest first.' })
  async versions(
    @Root() model: Model,
    @Ctx() { services }: Context,
    @Args(() => ConnectionArguments) page: ConnectionArguments,
  ) {
    return toConnection(await listVersions(services, model.id, pageArguments(page)));
  }

  @FieldResolver(() => ModelVersionType, { nullable: true })
  async version(
    @Root() model: Model,
    @Ctx() { services }: Context,
    @Arg('ref', () => String, { description: 'A number, latest, or an alias.' }) ref: string,
  ) {
    return findVersion(services, model.id, ref);
  }

  @FieldResolver(() => [ModelAliasType], { description: 'By name.' })
  async aliases(@Root() model: Model, @Ctx() { loaders }: Context) {
    return loaders.aliases.load(model.id);
  }

  @FieldResolver(() => ImageShapeType)
  inputShape(@Root() model: Model) {
    return model;
  }

  @FieldResolver(() => Architecture)
  architecture(@Root() { definition }: Model) {
    return describeArchitecture(definition as unknown as NetworkDefinition);
  }
}
