import { setTimeout as sleep } from 'node:timers/promises';
import { openDataset, type OpenDataset } from '../../src/datasets/read-dataset.js';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import type { Graph, TensorMap } from '../../src/domain/network/graph.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import type { TrainingPlan } from '../../src/domain/plan.js';
import { isOutage } from '../../src/errors.js';
import type { Database } from '../../src/infra/database.js';
import type { EventBus } from '../../src/infra/events.js';
import type { Logger } from '../../src/infra/log.js';
import type { Metrics } from '../../src/infra/metrics.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import { HandBackJob, PostponeJob, type JobQueue } from '../../src/infra/queue.js';
import { removeFinishedCheckpoints, rewindRun } from '../../src/runs/checkpoints.js';
import { claimRun, type Claim, type ClaimedRun } from '../../src/runs/claim-run.js';
import { failRun, handBackRun, pauseOwnedRun } from '../../src/runs/finish-run.js';
import { RunLostError, type Ownership } from '../../src/runs/own-run.js';
import { findRun } from '../../src/runs/read-runs.js';
import { RunRecorder } from '../../src/runs/record-progress.js';
import { retryOutage } from '../../src/runs/retry-outage.js';
import { EngineUnavailableError, type EngineChoice, type EngineSet } from '../../src/training/select-engine.js';
import {
  train,
  type EpochMetrics,
  type TrainingResult,
  type TrainingSink,
  type TrainingTask,
} from '../../src/training/train.js';
import { loadCheckpoint, saveCheckpoint } from './checkpoint-store.js';
import { loadInitialTensors } from './initial-weights.js';
import { publishRun } from './publish-run.js';

export interface WorkerDeps {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly events: EventBus;
  readonly queue: Pick<JobQueue, 'enqueue'>;
  readonly engines: EngineSet;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly dataDir: string;
  readonly workerId: string;
  /** Which run this worker has, for its row. */
  readonly onRun: (runId: string | null) => void;
  /** Aborted when the process is asked to end: the run goes back to the queue with a checkpoint … */
  readonly shutdown: AbortSignal;
  /** … and a while later, when it must not wait for a server any longer. */
  readonly hurry: AbortSignal;
}

/** How long until a run is asked for again whose worker, as far as one can see, is alive. */
const HELD_DELAY_MS = 2_000;
/** … and how often to look whether one that is silent is dead. */
const LOOK_EVERY_MS = 500;

/** What the job `train` does: takes the run, trains it to its end and publishes what came of it. */
export async function executeRun(deps: WorkerDeps, runId: string): Promise<void> {
  if (deps.shutdown.aborted) throw new HandBackJob();
  const claim = await claimOnceDecided(deps, runId);
  if (claim.kind === 'over') return;
  if (claim.kind === 'held') throw new PostponeJob(HELD_DELAY_MS);
  if (claim.kind !== 'claimed') {
    await pass(LOOK_EVERY_MS, deps.shutdown);
    throw new HandBackJob();
  }
  deps.onRun(runId);
  try {
    await new Attempt(deps, claim.run).execute();
  } finally {
    deps.onRun(null);
  }
  // It paused and was resumed at once, which could not queue it while this job was there.
  if ((await findRun(deps, runId))?.status === 'QUEUED') throw new PostponeJob(0);
}

/** With the job in hand, which would lose its place else. @returns `silent` only where this worker is to end */
async function claimOnceDecided(deps: WorkerDeps, runId: string): Promise<Claim> {
  for (;;) {
    const claim = await claimRun(deps, runId, deps.workerId);
    if (claim.kind !== 'silent' || deps.shutdown.aborted) return claim;
    await pass(LOOK_EVERY_MS, deps.shutdown);
  }
}

const pass = (milliseconds: number, signal: AbortSignal) =>
  sleep(milliseconds, undefined, { signal }).catch(() => undefined);

/** CIFAR's training images take 154 MB; from some size on what a step computes outweighs the reading of its images. */
const IN_MEMORY_DATASET_BYTES = 512 * 1024 ** 2;

class PauseRequested extends Error {
  override readonly name = 'PauseRequested';
}

/** A run that is to pause waits no longer than this for a server: then its last checkpoint is what it goes on from. */
const PAUSE_PATIENCE_MS = 5_000;

/** One worker's hold on one run. */
class Attempt {
  private readonly stop = new AbortController();
  /** Ends training between two steps, with a checkpoint … */
  private readonly pause = new AbortController();
  /** … and a while later all waiting for a server. */
  private readonly pauseAnyway = new AbortController();
  private readonly owner: Ownership;
  private readonly plan: TrainingPlan;
  private readonly log: Logger;
  private readonly recorder: RunRecorder;
  /** Ends every waiting for a server. */
  private readonly patience: AbortSignal;

  constructor(
    private readonly deps: WorkerDeps,
    private readonly run: ClaimedRun,
  ) {
    this.owner = { runId: run.id, attempt: run.attempt };
    this.plan = run.plan as unknown as TrainingPlan;
    this.log = deps.log.child({ ...this.owner, number: run.number });
    this.patience = AbortSignal.any([this.stop.signal, this.pauseAnyway.signal, deps.hurry]);
    this.recorder = new RunRecorder(deps, {
      owner: this.owner,
      totalSteps: run.totalSteps,
      signal: this.patience,
      onLost: (error) => this.stop.abort(error),
      onPause: () => this.pauseSoon(),
    });
  }

  private pauseSoon(): void {
    if (this.pause.signal.aborted) return;
    this.pause.abort(new PauseRequested());
    setTimeout(() => this.pauseAnyway.abort(this.pause.signal.reason), PAUSE_PATIENCE_MS).unref();
  }

  async execute(): Promise<void> {
    let dataset: OpenDataset | undefined;
    try {
      const { sha256 } = this.run.dataset;
      const options = { inMemoryBytes: IN_MEMORY_DATASET_BYTES };
      dataset = await this.patiently(() => openDataset(this.deps, { sha256: sha256! }, options));
      const task = await this.prepare(dataset);
      const result = await this.train(task);
      if (result.outcome === 'finished') await this.publish(task, result);
      else await this.rest();
    } catch (error) {
      await this.settle(error);
    } finally {
      await this.recorder.close();
      dataset?.close();
    }
    await removeFinishedCheckpoints(this.deps).catch((error: unknown) =>
      this.log.warn({ err: error }, 'checkpoints remain'),
    );
  }

  private async prepare(data: OpenDataset): Promise<TrainingTask> {
    const definition = this.run.model.definition as unknown as NetworkDefinition;
    const graph = buildGraph(definition);
    const { engine, precision, threads } = await this.chooseEngine();
    await this.recorder.engine(engine.name, precision, threads);
    this.tell(
      `attempt ${this.run.attempt} on worker ${this.deps.workerId}: ${engine.name} (${engine.device}), ${precision}`,
    );
    const resumeFrom = await this.patiently(() =>
      loadCheckpoint(this.deps, this.run.id, this.plan, graph, (text) => this.warn(text)),
    );
    await rewindRun(this.recorder, this.run.id, {
      step: resumeFrom?.step ?? 0,
      epoch: resumeFrom?.position.epoch ?? 0,
    });
    if (resumeFrom) this.tell(`goes on from step ${resumeFrom.step} of ${this.run.totalSteps}`);
    return {
      plan: this.plan,
      graph,
      classNames: this.run.model.classNames,
      // A checkpoint has every tensor.
      initial: resumeFrom?.tensors ?? (await this.patiently(() => this.initialTensors(definition, graph))),
      data,
      normalisation: { mean: this.run.dataset.channelMean, std: this.run.dataset.channelStd },
      engine,
      precision,
      resumeFrom,
      checkpointEverySteps: this.run.checkpointEverySteps ?? undefined,
      pauseAfterEpoch: this.run.pauseAfterEpoch ?? undefined,
    };
  }

  private initialTensors(definition: NetworkDefinition, graph: Graph): Promise<TensorMap> {
    return loadInitialTensors(this.deps, this.plan, definition, graph, (text) => this.tell(text));
  }

  /** Those of the attempt before, if this machine has them: then the run goes on bit for bit. */
  private async chooseEngine(): Promise<EngineChoice> {
    const before = {
      engine: this.run.engine ?? this.plan.engine,
      precision: this.run.precision ?? this.plan.precision,
      threads: this.run.threads,
    };
    try {
      return await this.deps.engines.select(before);
    } catch (error) {
      if (!(error instanceof EngineUnavailableError)) throw error;
      return this.deps.engines.select(this.plan);
    }
  }

  private async train(task: TrainingTask): Promise<TrainingResult> {
    const { metrics } = this.deps;
    const sink: TrainingSink = {
      onStep: ({ images, ...step }) => {
        this.recorder.step(step);
        metrics.trainingSteps.inc();
        metrics.trainingImages.inc(images);
        metrics.trainingImagesPerSecond.set(step.imagesPerSecond);
      },
      onEpoch: async (epoch) => {
        this.tell(epochLine(epoch, this.plan.epochs));
        await this.recorder.epoch(epoch);
      },
      onCheckpoint: (checkpoint) =>
        this.patiently(() => saveCheckpoint(this.deps, this.recorder, this.owner, task, checkpoint)),
    };
    try {
      const pause = AbortSignal.any([this.pause.signal, this.deps.shutdown]);
      return await train(task, sink, { stop: this.stop.signal, pause });
    } finally {
      metrics.trainingImagesPerSecond.set(0);
    }
  }

  /** Behind a checkpoint: because somebody asked for it, or since the epoch was reached after which it was to. */
  private async rest(): Promise<void> {
    const asked = AbortSignal.any([this.deps.shutdown, this.pause.signal]);
    asked.throwIfAborted();
    const epoch = this.run.pauseAfterEpoch!;
    this.tell(`paused after epoch ${epoch}`);
    const became = await this.recorder.end((transaction) =>
      pauseOwnedRun({ database: transaction }, this.owner, epoch),
    );
    if (became === 'QUEUED') throw new HandBackJob();
  }

  private async publish(task: TrainingTask, result: Extract<TrainingResult, { outcome: 'finished' }>): Promise<void> {
    if (result.stoppedEarly) this.tell(`stopped early: ${result.stoppedEarly}`);
    this.tell(`trained: accuracy ${result.evaluation.accuracy.toFixed(4)}, loss ${result.evaluation.loss.toFixed(4)}`);
    const { id: versionId, version } = await this.patiently(() =>
      publishRun(this.deps, this.recorder, this.owner, this.run, task, result),
    );
    this.log.info({ version, accuracy: result.evaluation.accuracy }, 'published');
    if (!this.run.quantize) return;
    // Its row says what is wanted: with the queue away it is quantised later.
    await this.deps.queue.enqueue('quantize-version', { v: 1, versionId }).catch(() => undefined);
  }

  /** What an attempt that did not come to its end means for the run and for the job. */
  private async settle(error: unknown): Promise<void> {
    try {
      await this.conclude(error);
    } catch (failure) {
      if (!(failure instanceof RunLostError)) throw failure;
      this.log.warn('the run was taken up by another worker, or was cancelled');
    }
  }

  private async conclude(error: unknown): Promise<void> {
    if (error instanceof HandBackJob) throw error;
    if (this.deps.shutdown.aborted || error instanceof PauseRequested || isOutage(error)) return this.handBack(error);
    // No fault of the run's: the job comes back, and the count of fruitless attempts ends it if it always does.
    if (error instanceof RunLostError) throw error;
    if (isDatabaseFault(error)) {
      this.log.warn({ err: error }, 'the attempt ended with a fault of the database; the job comes back');
      throw error;
    }
    const reason = error instanceof Error ? error.message : String(error);
    this.log.error({ err: error }, 'the run failed');
    this.recorder.log('error', reason);
    await this.recorder.end((transaction) => failRun({ database: transaction }, this.owner, reason));
  }

  /** @throws HandBackJob, or the outage itself: the job comes back to whoever is there. */
  private async handBack(error: unknown): Promise<void> {
    const { aborted } = this.deps.shutdown;
    if (error instanceof PauseRequested) this.tell('paused');
    else this.warn(`handed back to the queue: ${aborted ? 'its worker is shut down' : 'a server is away'}`);
    const became = await this.recorder.end((transaction) => handBackRun({ database: transaction }, this.owner));
    if (became !== 'QUEUED') return;
    // A pause that was taken back meanwhile is none: the run goes on.
    throw aborted || error instanceof PauseRequested ? new HandBackJob() : error;
  }

  private patiently<T>(work: () => Promise<T>): Promise<T> {
    return retryOutage(work, this.patience, (error) => this.log.warn({ err: error }, 'a server is away, trying again'));
  }

  private tell(message: string): void {
    this.log.info(message);
    this.recorder.log('info', message);
  }

  private warn(message: string): void {
    this.log.warn(message);
    this.recorder.log('warn', message);
  }
}

const isDatabaseFault = (error: unknown) => error instanceof Error && /^(Prisma|DriverAdapter)/.test(error.name);

function epochLine(metrics: EpochMetrics, epochs: number): string {
  const { epoch, trainLoss, trainAccuracy, validationLoss, validationAccuracy, imagesPerSecond, seconds } = metrics;
  return (
    `epoch ${epoch}/${epochs}: loss ${trainLoss.toFixed(4)}, accuracy ${trainAccuracy.toFixed(4)}; ` +
    `validation loss ${validationLoss.toFixed(4)}, accuracy ${validationAccuracy.toFixed(4)}; ` +
    `${Math.round(imagesPerSecond)} images/s, ${seconds.toFixed(1)} s`
  );
}
