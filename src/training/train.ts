import { addLogits, createTally, summariseTally, type Evaluation } from '../domain/evaluation.js';
import type { Graph, TensorMap } from '../domain/network/graph.js';
import type { Normalisation } from '../domain/normalisation.js';
import type { TrainingPlan } from '../domain/plan.js';
import { horizonOf, splitTrain, type Horizon, type TrainSplit } from '../domain/split.js';
import { evaluationBatches, trainingBatches, type DataSource } from './batches.js';
import { EPOCH_START, RUN_START, type Checkpoint, type EpochSums, type Position } from './checkpoint.js';
import type { Batch, ComputePrecision, Engine, StepResult, TrainingSession } from './engine.js';
import { describeStop, isStopped, observeEpoch, type StoppingState } from './early-stopping.js';
import { learningRateAt } from './schedule.js';

/** The training loop. It knows nothing of runs, files, databases or queues. */

export interface TrainingTask {
  readonly plan: TrainingPlan;
  readonly graph: Graph;
  /** By class index. */
  readonly classNames: readonly string[];
  /** Weights to start from. */
  readonly initial: TensorMap;
  readonly data: DataSource;
  readonly normalisation: Normalisation;
  readonly engine: Engine;
  readonly precision: ComputePrecision;
  readonly resumeFrom?: Checkpoint | undefined;
  /** Checkpoints within epochs too: whenever so many steps of the run are complete. Those decide no number. */
  readonly checkpointEverySteps?: number | undefined;
  /** Pauses once so many epochs of the run are complete, or at once where they are, unless the run is over then. */
  readonly pauseAfterEpoch?: number | undefined;
}

export interface StepMetrics {
  /** 1-based over the whole run. */
  readonly step: number;
  /** 1-based. */
  readonly epoch: number;
  readonly loss: number;
  readonly accuracy: number;
  readonly learningRate: number;
  readonly images: number;
  readonly imagesPerSecond: number;
}

export interface EpochMetrics {
  /** 1-based. */
  readonly epoch: number;
  /** Over the epoch's batches as they were trained: augmented, label smoothing included. */
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
  /** Of the epoch's last step. */
  readonly learningRate: number;
  /** While training, validation not counted. */
  readonly imagesPerSecond: number;
  /** Training and validation. */
  readonly seconds: number;
}

/** Where the loop tells what it does. The promises are waited for; an error ends the loop. */
export interface TrainingSink {
  onStep(metrics: StepMetrics): void;
  onEpoch(metrics: EpochMetrics): Promise<void>;
  /** After each epoch, within them as `checkpointEverySteps` says, and when `pause` was aborted. */
  onCheckpoint(checkpoint: Checkpoint): Promise<void>;
}

export interface TrainingSignals {
  /** Ends the loop between two steps; it throws the signal's reason. */
  readonly stop: AbortSignal;
  /** Ends the loop between two steps with a checkpoint. */
  readonly pause?: AbortSignal | undefined;
}

export type TrainingResult =
  | { readonly outcome: 'paused' }
  | {
      readonly outcome: 'finished';
      readonly step: number;
      /** Of plans with `emaDecay`, the averages. */
      readonly tensors: TensorMap;
      readonly evaluation: Evaluation;
      /** Why it ended before the plan's last epoch, in words. */
      readonly stoppedEarly?: string | undefined;
    };

/** The loss is no number any more, and no later step can mend it. */
export class TrainingDivergedError extends Error {
  override readonly name = 'TrainingDivergedError';
  constructor(what: string, loss: number, step: number, epoch: number, learningRate: number) {
    super(
      `the ${what} became ${loss} at step ${step} (epoch ${epoch}) with learning rate ${learningRate}; ` +
        'a lower learning rate or a warm-up may help',
    );
  }
}

/**
 * Trains from the start, or on from `resumeFrom`, to the end of the plan.
 * @throws TrainingDivergedError; the engine's and the sink's errors; `signals.stop.reason`.
 */
export async function train(task: TrainingTask, sink: TrainingSink, signals: TrainingSignals): Promise<TrainingResult> {
  const { plan, graph, engine, resumeFrom } = task;
  const session = await engine.open(graph, resumeFrom?.tensors ?? task.initial, {
    batchSize: plan.batchSize,
    precision: task.precision,
    optimizer: plan.optimizer,
    labelSmoothing: plan.labelSmoothing,
    seed: plan.seed,
    emaDecay: plan.emaDecay,
  });
  try {
    if (resumeFrom) await session.restore(resumeFrom.tensors, resumeFrom.optimizerState, resumeFrom.averages);
    return await new Loop(task, session, sink, signals).run();
  } finally {
    await session.close();
  }
}

class Loop {
  private readonly horizon: Horizon;
  /** Of TRAIN, where a part of it validates. */
  private readonly split: TrainSplit | undefined;
  private position: Position;
  private stopping: StoppingState | undefined;
  /** Of the latest epoch, on TEST. */
  private evaluation: Evaluation | undefined;

  constructor(
    private readonly task: TrainingTask,
    private readonly session: TrainingSession,
    private readonly sink: TrainingSink,
    private readonly signals: TrainingSignals,
  ) {
    const { plan, data } = task;
    this.horizon = horizonOf(plan, data.size('TRAIN'));
    this.split = plan.validationFraction
      ? splitTrain(data.labels('TRAIN'), plan.validationFraction, plan.seed)
      : undefined;
    this.position = task.resumeFrom?.position ?? RUN_START;
    this.stopping = task.resumeFrom?.stopping;
  }

  async run(): Promise<TrainingResult> {
    while (!this.isOver()) {
      if (this.position.epoch >= (this.task.pauseAfterEpoch ?? Infinity)) return { outcome: 'paused' };
      const complete = (await this.trainEpoch()) && (await this.closeEpoch());
      await this.saveCheckpoint();
      if (!complete) return { outcome: 'paused' };
    }
    const evaluation = this.evaluation ?? (await this.evaluate('TEST'));
    if (!evaluation) return { outcome: 'paused' };
    return {
      outcome: 'finished',
      step: this.step,
      tensors: (await this.session.averages()) ?? (await this.session.tensors()),
      evaluation,
      stoppedEarly: this.stoppedEarly(),
    };
  }

  private isOver(): boolean {
    const { epochs, earlyStopping } = this.task.plan;
    return this.position.epoch >= epochs || isStopped(earlyStopping, this.stopping);
  }

  private stoppedEarly(): string | undefined {
    const { epochs, earlyStopping } = this.task.plan;
    const { epoch } = this.position;
    if (!earlyStopping || !this.stopping || epoch >= epochs) return undefined;
    return `${describeStop(earlyStopping, this.stopping, epoch)} of ${epochs}`;
  }

  /** The rest of the epoch's steps; false where it was paused before the end. */
  private async trainEpoch(): Promise<boolean> {
    const { data, normalisation, plan } = this.task;
    const { epoch, batch: first } = this.position;
    const batches = trainingBatches(data, normalisation, plan, epoch, first, this.split?.training);
    let next = batches.next();
    while (!next.done) {
      if (this.isPaused()) return false;
      const batch = next.value;
      const started = performance.now();
      const learningRate = this.learningRate(this.step);
      const stepping = this.session.step(batch, learningRate);
      next = await this.nextBatch(batches, stepping);
      this.recordStep(batch, await stepping, learningRate, (performance.now() - started) / 1000);
      // The epoch's own follows its last step anyway.
      if (!next.done && this.step % (this.task.checkpointEverySteps ?? Infinity) === 0) await this.saveCheckpoint();
    }
    return true;
  }

  private recordStep(batch: Batch, { loss, correct }: StepResult, learningRate: number, seconds: number): void {
    const { epoch, batch: done, sums } = this.position;
    this.position = {
      epoch,
      batch: done + 1,
      sums: {
        images: sums.images + batch.size,
        lossSum: sums.lossSum + loss * batch.size,
        correct: sums.correct + correct,
        seconds: sums.seconds + seconds,
      },
    };
    if (!Number.isFinite(loss)) throw new TrainingDivergedError('loss', loss, this.step, epoch + 1, learningRate);
    this.sink.onStep({
      step: this.step,
      epoch: epoch + 1,
      loss,
      accuracy: correct / batch.size,
      learningRate,
      images: batch.size,
      imagesPerSecond: batch.size / seconds,
    });
  }

  /** Validates and tells of the epoch; false where it was paused before the end. */
  private async closeEpoch(): Promise<boolean> {
    const started = performance.now();
    const evaluation = await this.evaluate('VALIDATION');
    if (!evaluation) return false;
    const { epoch, sums } = this.position;
    const learningRate = this.learningRate(this.step - 1);
    if (!Number.isFinite(evaluation.loss))
      throw new TrainingDivergedError('validation loss', evaluation.loss, this.step, epoch + 1, learningRate);
    const seconds = sums.seconds + (performance.now() - started) / 1000;
    const metrics = epochMetrics(epoch + 1, sums, evaluation, learningRate, seconds);
    await this.sink.onEpoch(metrics);
    const { earlyStopping } = this.task.plan;
    if (earlyStopping) this.stopping = observeEpoch(earlyStopping, this.stopping, metrics);
    this.position = { epoch: epoch + 1, batch: 0, sums: EPOCH_START };
    if (!this.split) this.evaluation = evaluation;
    return true;
  }

  /** On TEST, or on what validates, which is TEST unless a part of TRAIN does; nothing where it was paused. */
  private async evaluate(on: 'VALIDATION' | 'TEST'): Promise<Evaluation | undefined> {
    const { data, normalisation, plan, graph, classNames } = this.task;
    const tally = createTally(graph.numClasses);
    const images = on === 'VALIDATION' ? this.split?.validation : undefined;
    const batches = evaluationBatches(data, images ? 'TRAIN' : 'TEST', normalisation, plan.batchSize, images);
    let next = batches.next();
    while (!next.done) {
      if (this.isPaused()) return undefined;
      const batch = next.value;
      const evaluating = this.session.evaluate(batch.images, batch.size);
      next = await this.nextBatch(batches, evaluating);
      addLogits(tally, await evaluating, batch.labels);
    }
    return summariseTally(tally, classNames);
  }

  private async saveCheckpoint(): Promise<void> {
    await this.sink.onCheckpoint({
      position: this.position,
      step: this.step,
      tensors: await this.session.tensors(),
      optimizerState: await this.session.optimizerState(),
      averages: await this.session.averages(),
      stopping: this.stopping,
    });
  }

  /** Steps taken so far. */
  private get step(): number {
    return this.position.epoch * this.horizon.stepsPerEpoch + this.position.batch;
  }

  private learningRate(step: number): number {
    const { optimizer, schedule } = this.task.plan;
    return learningRateAt(step, optimizer.learningRate, schedule, this.horizon);
  }

  /**
   * While the engine computes, or after it where it has every core: two threads that wait for one another at each layer
   * lose more to a third than the batch takes (docs/performance.md).
   */
  private async nextBatch(batches: Generator<Batch>, computing: Promise<unknown>): Promise<IteratorResult<Batch>> {
    if (this.task.engine.fillsCores) await computing;
    try {
      return batches.next();
    } catch (error) {
      // Until then the engine reads its buffers.
      await computing.catch(() => undefined);
      throw error;
    }
  }

  private isPaused(): boolean {
    this.signals.stop.throwIfAborted();
    return this.signals.pause?.aborted ?? false;
  }
}

function epochMetrics(
  epoch: number,
  sums: EpochSums,
  evaluation: Evaluation,
  learningRate: number,
  seconds: number,
): EpochMetrics {
  return {
    epoch,
    trainLoss: sums.lossSum / sums.images,
    trainAccuracy: sums.correct / sums.images,
    validationLoss: evaluation.loss,
    validationAccuracy: evaluation.accuracy,
    learningRate,
    imagesPerSecond: sums.images / sums.seconds,
    seconds,
  };
}
