import {
  Arg,
  Args,
  Ctx,
  FieldResolver,
  Float,
  ID,
  Int,
  Mutation,
  Query,
  Resolver,
  Root,
  Subscription,
} from 'type-graphql';
import type { TrainingRun } from '../../infra/prisma/client.js';
import { cancelRun, pauseRun, resumeRun } from '../../runs/control-run.js';
import {
  MAX_STEP_POINTS,
  checkLast,
  findRun,
  listRuns,
  queuePosition,
  readLogs,
  readSteps,
} from '../../runs/read-runs.js';
import { startRun } from '../../runs/start-run.js';
import { watchRuns } from '../../runs/watch-changes.js';
import { watchRun } from '../../runs/watch-runs.js';
import { abortable } from '../abortable.js';
import { Requires } from '../access/authorise.js';
import { ConnectionArguments, pageArguments, toConnection } from '../connection.js';
import type { Context } from '../context.js';
import { DatasetType } from '../datasets/dataset.type.js';
import { ModelType } from '../models/model.type.js';
import { ModelVersionType } from '../registry/version.type.js';
import { evaluationOn } from './evaluation.resolver.js';
import { EvaluationType } from './evaluation.type.js';
import { RunOrder } from './run-order.input.js';
import { StartTrainingInput } from './run.input.js';
import {
  CheckpointType,
  EpochMetricsType,
  LogConnection,
  RunStatusEnum,
  StepMetricsType,
  TrainingRunConnection,
  TrainingRunType,
  type RunStatus,
} from './run.type.js';

@Resolver(() => TrainingRunType)
export class RunResolver {
  @Requires('VIEWER')
  @Query(() => TrainingRunType, { nullable: true })
  async run(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return findRun(services, id);
  }

  @Requires('VIEWER')
  @Query(() => TrainingRunConnection, { description: 'The newest first, or by orderBy.' })
  async runs(
    @Ctx() { services }: Context,
    @Args(() => ConnectionArguments) page: ConnectionArguments,
    @Arg('model', () => String, { nullable: true }) model?: string,
    @Arg('status', () => [RunStatusEnum], { nullable: true }) status?: RunStatus[],
    @Arg('tag', () => String, { nullable: true }) tag?: string,
    @Arg('orderBy', () => RunOrder, { nullable: true }) orderBy?: RunOrder | null,
  ) {
    return toConnection(await listRuns(services, { model, status, tag }, pageArguments(page), orderBy ?? undefined));
  }

  @Requires('TRAINER')
  @Mutation(() => TrainingRunType)
  async startTraining(@Ctx() { services }: Context, @Arg('input', () => StartTrainingInput) input: StartTrainingInput) {
    return startRun(services, input);
  }

  @Requires('TRAINER')
  @Mutation(() => TrainingRunType)
  async cancelTraining(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return cancelRun(services, id);
  }

  @Requires('TRAINER')
  @Mutation(() => TrainingRunType, {
    description:
      'Waiting: at once. Running: behind a checkpoint once its step has ended, of small networks within 2 s.',
  })
  async pauseTraining(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return pauseRun(services, id);
  }

  @Requires('TRAINER')
  @Mutation(() => TrainingRunType, { description: 'From the last checkpoint, on a CPU of the same kind bit for bit.' })
  async resumeTraining(@Ctx() { services }: Context, @Arg('id', () => ID) id: string) {
    return resumeRun(services, id);
  }

  @Requires('VIEWER')
  @Subscription(() => TrainingRunType, {
    description: 'At once, then at least each second while it runs, then the end.',
    subscribe: ({ args, context }: { args: { id: string }; context: Context }) =>
      abortable(() => context.authenticate(), (signal) => watchRun(context.services, args.id, signal)),
  })
  runProgress(@Root() run: TrainingRun, @Arg('id', () => ID) _id: string) {
    return run;
  }

  @Requires('VIEWER')
  @Subscription(() => TrainingRunType, {
    description: 'Each run that changes from now on, at most about once a second and its newest state for certain.',
    subscribe: ({ context }: { context: Context }) =>
      abortable(() => context.authenticate(), (signal) => watchRuns(context.services, signal)),
  })
  runsChanged(@Root() run: TrainingRun) {
    return run;
  }

  @FieldResolver(() => ModelType)
  model(@Root() run: TrainingRun, @Ctx() { loaders }: Context) {
    return loaders.model.load(run.modelId);
  }

  @FieldResolver(() => DatasetType)
  dataset(@Root() run: TrainingRun, @Ctx() { loaders }: Context) {
    return loaders.dataset.load(run.datasetId);
  }

  @FieldResolver(() => ModelVersionType, { nullable: true, description: 'What it published, once it succeeded.' })
  version(@Root() run: TrainingRun, @Ctx() { loaders }: Context) {
    return loaders.versionOfRun.load(run.id);
  }

  @FieldResolver(() => EvaluationType, { nullable: true, description: 'On the TEST split, once it succeeded.' })
  evaluation(@Root() { evaluation, datasetId }: TrainingRun, @Ctx() { loaders }: Context) {
    return evaluationOn(evaluation, () => loaders.dataset.load(datasetId));
  }

  @FieldResolver(() => [EpochMetricsType])
  history(
    @Root() { id: runId }: TrainingRun,
    @Ctx() { loaders }: Context,
    @Arg('last', () => Int, { nullable: true, description: 'How many of the last epochs; left out: every epoch.' })
    last?: number | null,
  ) {
    return last == null ? loaders.history.load(runId) : loaders.recentHistory.load({ runId, last: checkLast(last) });
  }

  @FieldResolver(() => [StepMetricsType], { description: `Thinned evenly to at most maxPoints, 1 to ${MAX_STEP_POINTS}.` })
  steps(
    @Root() run: TrainingRun,
    @Ctx() { services }: Context,
    @Arg('maxPoints', () => Int, { defaultValue: 500 }) maxPoints: number,
  ) {
    return readSteps(services, run.id, maxPoints);
  }

  @FieldResolver(() => LogConnection)
  async logs(
    @Root() run: TrainingRun,
    @Ctx() { services }: Context,
    @Args(() => ConnectionArguments) page: ConnectionArguments,
  ) {
    return toConnection(await readLogs(services, run.id, pageArguments(page)));
  }

  @FieldResolver(() => [CheckpointType], { description: 'Those kept, the newest first.' })
  checkpoints(@Root() run: TrainingRun, @Ctx() { loaders }: Context) {
    return loaders.checkpoints.load(run.id);
  }

  @FieldResolver(() => Float, { description: '0 to 1.' })
  progress(@Root() { status, step, totalSteps }: TrainingRun) {
    // One that stopped early has no more to do either.
    return status === 'SUCCEEDED' ? 1 : step / Math.max(totalSteps, 1);
  }

  @FieldResolver(() => Int, { nullable: true, description: '1 is next; null where it does not wait.' })
  queuePosition(@Root() run: TrainingRun, @Ctx() { services }: Context) {
    return queuePosition(services, run);
  }

  @FieldResolver(() => Int, { description: 'How often a worker took it up.' })
  attempts(@Root() { attempt }: TrainingRun) {
    return attempt;
  }

  @FieldResolver(() => String, { nullable: true })
  worker(@Root() { workerId }: TrainingRun) {
    return workerId;
  }
}
