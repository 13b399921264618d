import { Arg, Args, Ctx, FieldResolver, ID, Mutation, Query, Resolver, Root } from 'type-graphql';
import type { Metric } from '../../domain/plan.js';
import type { SearchAlgorithm } from '../../domain/search.js';
import type { Sweep, TrainingRun } from '../../infra/prisma/client.js';
import { cancelSweep } from '../../sweeps/cancel-sweep.js';
import { bestRun, findSweep, listSweeps } from '../../sweeps/read-sweeps.js';
import { configOf } from '../../sweeps/read-trials.js';
import { startSweep } from '../../sweeps/start-sweep.js';
import { Requires } from '../access/authorise.js';
import { ConnectionArguments, pageArguments, toConnection } from '../connection.js';
import type { Context } from '../context.js';
import { MetricEnum, TrainingRunType } from './run.type.js';
import { StartSweepInput } from './sweep.input.js';
import { SearchAlgorithmEnum, SweepConnection, SweepType } from './sweep.type.js';

@Resolver(() => SweepType)
export class SweepResolver {
  @Requires('VIEWER')
  @Query(() => SweepType, { nullable: true })
  async sweep(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return findSweep(services, id);
  }

  @Requires('VIEWER')
  @Query(() => SweepConnection, { description: 'The newest first.' })
  async sweeps(@Ctx() { services }: Context, @Args(() => ConnectionArguments) page: ConnectionArguments) {
    return toConnection(await listSweeps(services, pageArguments(page)));
  }

  @Requires('TRAINER')
  @Mutation(() => SweepType)
  async startSweep(@Ctx() { services }: Context, @Arg('input', () => StartSweepInput) input: StartSweepInput) {
    return startSweep(services, input);
  }

  @Requires('TRAINER')
  @Mutation(() => SweepType, { description: 'And every trial of it that is not over.' })
  async cancelSweep(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return cancelSweep(services, id);
  }

  @FieldResolver(() => SearchAlgorithmEnum)
  algorithm(@Root() sweep: Sweep): SearchAlgorithm {
    return configOf(sweep).algorithm;
  }

  @FieldResolver(() => MetricEnum)
  metric(@Root() sweep: Sweep): Metric {
    return configOf(sweep).metric;
  }

  @FieldResolver(() => [TrainingRunType], { description: 'In the order of the trials.' })
  runs(@Root() { id }: Sweep, @Ctx() { loaders }: Context) {
    return loaders.runsOfSweep.load(id);
  }

  @FieldResolver(() => TrainingRunType, {
    nullable: true,
    description: 'By the metric, among those that got furthest; null before a trial has completed an epoch.',
  })
  best(@Root() sweep: Sweep, @Ctx() { services }: Context) {
    return bestRun(services, sweep);
  }
}

@Resolver(() => TrainingRunType)
export class TrialResolver {
  @FieldResolver(() => SweepType, { nullable: true, description: 'The search that it is a trial of.' })
  sweep(@Root() { sweepId }: TrainingRun, @Ctx() { loaders }: Context) {
    return sweepId === null ? null : loaders.sweep.load(sweepId);
  }
}
