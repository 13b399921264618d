import { Arg, Ctx, FieldResolver, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { Prediction } from '../../serving/predict.js';
import type { ServingStats } from '../../serving/stats.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import type { Loaders } from '../loaders.js';
import { ModelVersionType } from '../registry/version.type.js';
import { PredictInput } from './predict.input.js';
import { CachedModelType, PredictionType, ServedModelStateType, ServingStatsType } from './prediction.type.js';

@Resolver(() => PredictionType)
export class PredictionResolver {
  @Requires('PREDICTOR')
  @Query(() => PredictionType)
  async predict(@Ctx() { services, signal }: Context, @Arg('input', () => PredictInput) input: PredictInput) {
    return services.predictor.predict(input, signal);
  }

  @Requires('PREDICTOR')
  @Mutation(() => PredictionType, { name: 'predict', description: 'As the query.' })
  async predictByMutation(@Ctx() { services, signal }: Context, @Arg('input', () => PredictInput) input: PredictInput) {
    return services.predictor.predict(input, signal);
  }

  @FieldResolver(() => ModelVersionType)
  modelVersion(@Root() { version }: Prediction) {
    return version;
  }
}

@Resolver(() => ServingStatsType)
export class ServingStatsResolver {
  @Requires('VIEWER')
  @Query(() => ServingStatsType, { description: 'Of this server; counts are since it started.' })
  async servingStats(@Ctx() { services }: Context) {
    return services.predictor.stats();
  }

  @FieldResolver(() => [CachedModelType], { description: 'In memory now.' })
  async cachedModels(@Root() { cachedModels }: ServingStats, @Ctx() { loaders }: Context) {
    return withVersions(cachedModels, loaders);
  }

  @FieldResolver(() => [ServedModelStateType], {
    description: 'In memory, on their way in or out, and the last that failed to load.',
  })
  async models(@Root() { models }: ServingStats, @Ctx() { loaders }: Context) {
    return withVersions(models, loaders);
  }
}

/** A model that was deleted may be in memory a while longer; there is nothing left to say of it. */
async function withVersions<T extends { readonly versionId: string }>(cached: readonly T[], loaders: Loaders) {
  const entries = await Promise.all(
    cached.map(async ({ versionId, ...entry }) => ({ ...entry, version: await loaders.version.load(versionId) })),
  );
  return entries.filter(({ version }) => version !== null);
}
