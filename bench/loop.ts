import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { writeDecoded } from '../src/datasets/write-decoded.js';
import type { NetworkInput } from '../src/domain/network/normalise.js';
import { connectDatabase, type Database } from '../src/infra/database.js';
import { createEventBus } from '../src/infra/events.js';
import { createLogger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { migrateDatabase } from '../src/infra/migrate.js';
import { createObjectStore, type ObjectStore } from '../src/infra/objects.js';
import { createJobQueue, startJobWorker } from '../src/infra/queue.js';
import { startStack, type Stack } from '../src/local/stack.js';
import { defineModel } from '../src/models/define-model.js';
import { startRun } from '../src/runs/start-run.js';
import { EngineSet, type EngineChoice } from '../src/training/select-engine.js';
import { executeRun } from '../workers/training/execute-run.js';
import { markdownTable, peakBytes, rounded } from './figures.js';
import { randomRecords } from './local-dataset.js';
import { benchModel } from './models.js';
import { StepClock, type Timed } from './step-clock.js';
import { availableThreads } from './threads.js';

/**
 * Images of an epoch: ten seconds' work or so on the machine of docs/performance.md, so that the time measured holds
 * some ends of epochs.
 */
const EPOCH_IMAGES: Record<string, number> = { resnet20: 38_400, notebook: 3_840, resnet18: 960, resnet50: 320 };
/** More than will be trained: the time ends it. */
const EPOCHS = 1_000;

/**
 * `npm run bench -- loop MODEL BATCH [--precision float32|bfloat16] [--seconds 20] [--threads 2]`: all that a worker
 * does for a run, through the worker's own `executeRun`: the data set in a local file, crop and flip, step metrics and
 * epochs into PostgreSQL, progress through Redis, a checkpoint into the object store after each epoch. The servers are
 * the embedded ones and run beside it, as under `npm start`. The test split is one batch: `train` validates nothing.
 */
export async function benchLoop(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      precision: { type: 'string', default: 'auto' },
      seconds: { type: 'string', default: '20' },
      threads: { type: 'string' },
    },
  });
  const [model, batch = '128'] = positionals;
  const { input } = benchModel(model);
  const settings = { model: model!, batchSize: Number(batch), threads: availableThreads(values.threads) };
  const precision = values.precision.toUpperCase() as 'AUTO' | 'FLOAT32' | 'BFLOAT16';
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  const stack = await startStack(dataDir);
  try {
    const worked = await work(stack, dataDir, input, { ...settings, precision, seconds: Number(values.seconds) });
    report(settings, worked);
  } finally {
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

interface Settings {
  readonly model: string;
  readonly batchSize: number;
  readonly threads: number;
}

interface Worked extends Timed {
  readonly engine: EngineChoice;
  readonly checkpoints: number;
}

/** Starts a run and works on it as workers/train.ts does, until the time is over. */
async function work(
  stack: Stack,
  dataDir: string,
  network: NetworkInput,
  options: Settings & { readonly precision: 'AUTO' | 'FLOAT32' | 'BFLOAT16'; readonly seconds: number },
): Promise<Worked> {
  const redis = { url: stack.redisUrl, prefix: 'bench' };
  await migrateDatabase(stack.databaseUrl);
  const database = connectDatabase(stack.databaseUrl, { maxConnections: 4 });
  const queue = createJobQueue(redis);
  const events = createEventBus(redis);
  const { objects: access } = stack;
  const bucket = { publicEndpoint: access.endpoint, bucket: 'bench', region: 'us-east-1' };
  const objects = createObjectStore({ ...access, ...bucket });
  await objects.ensureBucket();

  const shutdown = new AbortController();
  const over = new Promise<void>((resolve) => shutdown.signal.addEventListener('abort', () => resolve()));
  const clock = new StepClock(options.seconds, () => shutdown.abort(new Error('the time is over')));
  const engine = await new EngineSet(options.threads).select({ engine: 'ONEDNN', precision: options.precision });
  const watched = { ...engine, engine: clock.watch(engine.engine) };
  const deps = {
    database,
    objects,
    events,
    queue,
    engines: { select: async () => watched } as unknown as EngineSet,
    metrics: createMetrics(),
    log: createLogger('error'),
    dataDir,
    workerId: randomUUID(),
    onRun: () => undefined,
    shutdown: shutdown.signal,
    hurry: new AbortController().signal,
  };
  await storeData(database, objects, dataDir, network, options);
  const run = await start({ database, queue, events }, network, options);
  const jobs = startJobWorker(redis, 'train', ({ runId }) => executeRun(deps, runId));
  try {
    await Promise.race([over, untilFailed(database, run.id)]);
    await jobs.close();
    const checkpoints = await database.checkpoint.count({ where: { runId: run.id } });
    return { ...clock.timed, engine, checkpoints };
  } finally {
    shutdown.abort(new Error('the bench is over'));
    await jobs.close();
    await queue.close();
    await events.close();
    await database.$disconnect();
  }
}

/** Noise as a READY data set, as validation would have left it. */
async function storeData(
  database: Database,
  objects: ObjectStore,
  dataDir: string,
  { inputShape, numClasses }: NetworkInput,
  { model, batchSize }: Settings,
): Promise<void> {
  const records = randomRecords(inputShape, numClasses, Math.max(EPOCH_IMAGES[model]!, batchSize), batchSize);
  const file = path.join(dataDir, 'noise.safetensors');
  const { mean, std } = await writeDecoded(file, records, new AbortController().signal);
  const { sha256, bytes } = await objects.putFile(file);
  const [trainSize, testSize] = [records.train.labels.length, records.test.labels.length];
  await database.dataset.create({
    data: {
      name: 'noise', version: 1, format: 'CIFAR10_BINARY', status: 'READY', sha256, bytes, ...inputShape,
      classNames: [...records.classNames], trainSize, testSize, channelMean: [...mean], channelStd: [...std],
    },
  }); // prettier-ignore
}

async function start(
  deps: Parameters<typeof startRun>[0],
  { numClasses, ...network }: NetworkInput,
  { batchSize, precision }: Settings & { readonly precision: 'AUTO' | 'FLOAT32' | 'BFLOAT16' },
) {
  const classNames = Array.from({ length: numClasses }, (_, label) => String(label));
  await defineModel(deps, { name: 'model', ...network, classNames });
  return startRun(deps, {
    model: 'model',
    dataset: 'noise',
    epochs: EPOCHS,
    batchSize,
    precision,
    // Labels of noise cannot be learned; with a rate this small nothing diverges.
    optimizer: { learningRate: 0.001 },
    schedule: { kind: 'CONSTANT' },
    augmentation: { cropPadding: 4, horizontalFlip: true },
  });
}

/** Rejects if the run ends by itself. */
async function untilFailed(database: Database, id: string): Promise<never> {
  for (;;) {
    const { status, failure } = await database.trainingRun.findUniqueOrThrow({ where: { id } });
    if (status !== 'QUEUED' && status !== 'RUNNING') throw new Error(`the run is ${status}: ${failure}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000).unref());
  }
}

function report(settings: Settings, { images, seconds, steps, betweenSteps, checkpoints, engine }: Worked): void {
  const imagesPerSecond = rounded(images / seconds, 1);
  const { precision } = engine;
  const { device } = engine.engine;
  const row = {
    ...settings,
    precision,
    imagesPerSecond,
    seconds: rounded(seconds, 1),
    steps,
    checkpoints,
    /** Share of the time in which no step was under way. */
    betweenSteps: rounded(betweenSteps, 4),
    peakBytes: peakBytes(),
  };
  console.log(markdownTable([row]));
  console.log(JSON.stringify({ ...row, device }));
}
