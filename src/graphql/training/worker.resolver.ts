import { Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import type { Worker } from '../../infra/prisma/client.js';
import { listWorkers } from '../../runs/workers.js';
import { queueStats } from '../../runs/queue-stats.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { QueueStatsType, TrainingRunType, WorkerType } from './run.type.js';

@Resolver(() => WorkerType)
export class WorkerResolver {
  @Requires('VIEWER')
  @Query(() => [WorkerType], { description: 'Those that are there, and for a day those that went without a word.' })
  async workers(@Ctx() { services }: Context) {
    return listWorkers(services);
  }

  @Requires('VIEWER')
  @Query(() => QueueStatsType)
  async queueStats(@Ctx() { services }: Context) {
    return queueStats(services);
  }

  @FieldResolver(() => TrainingRunType, { nullable: true, description: 'What it trains; null of one that is gone.' })
  currentRun(@Root() { runId }: Worker, @Ctx() { loaders }: Context) {
    return runId === null ? null : loaders.run.load(runId);
  }
}
