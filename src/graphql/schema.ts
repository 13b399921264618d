import 'reflect-metadata';
import { createPubSub } from '@graphql-yoga/subscription';
import { lexicographicSortSchema, printSchema, type GraphQLSchema } from 'graphql';
import { buildSchemaSync } from 'type-graphql';
import { ApiKeyResolver } from './access/api-key.resolver.js';
import { checkRole } from './access/authorise.js';
import { DatasetResolver } from './datasets/dataset.resolver.js';
import { ArchitectureResolver } from './models/architecture.resolver.js';
import { ModelResolver } from './models/model.resolver.js';
import { ServingSettingsResolver } from './models/serving-settings.resolver.js';
import { AliasResolver } from './registry/alias.resolver.js';
import { ArtifactResolver, VersionResolver } from './registry/version.resolver.js';
import { QuantizationResolver, QuantizedVersionResolver } from './registry/quantization.resolver.js';
import { WeightsResolver } from './registry/weights.resolver.js';
import { DateTime } from './scalars.js';
import { PredictionResolver, ServingStatsResolver } from './serving/serving.resolver.js';
import { ComparisonResolver } from './training/comparison.resolver.js';
import { EvaluationResolver, MistakeResolver } from './training/evaluation.resolver.js';
import { RunResolver } from './training/run.resolver.js';
import { SweepResolver, TrialResolver } from './training/sweep.resolver.js';
import { WorkerResolver } from './training/worker.resolver.js';

export function createSchema(): GraphQLSchema {
  return buildSchemaSync({
    resolvers: [
      ModelResolver,
      ServingSettingsResolver,
      ArchitectureResolver,
      DatasetResolver,
      RunResolver,
      ComparisonResolver,
      EvaluationResolver,
      MistakeResolver,
      SweepResolver,
      TrialResolver,
      WorkerResolver,
      AliasResolver,
      VersionResolver,
      ArtifactResolver,
      WeightsResolver,
      QuantizedVersionResolver,
      QuantizationResolver,
      PredictionResolver,
      ServingStatsResolver,
      ApiKeyResolver,
    ],
    authChecker: checkRole,
    scalarsMap: [{ type: Date, scalar: DateTime }],
    // The use cases check their input, so that every door to them is guarded alike.
    validate: false,
    // type-graphql asks for one as soon as there is a subscription; ours subscribe to `runs` instead.
    pubSub: createPubSub(),
  });
}

const HEADER = '# Emitted by `npm run schema`; a test holds it against the code.';

/** As `schema.graphql` has it, sorted, so that moving code around changes nothing. */
export function printSorted(schema: GraphQLSchema): string {
  return `${HEADER}\n\n${printSchema(lexicographicSortSchema(schema))}\n`;
}
