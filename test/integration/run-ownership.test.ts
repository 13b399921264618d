import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { MAX_FRUITLESS_ATTEMPTS } from '../../src/domain/run-state.js';
import { createLoaders } from '../../src/graphql/loaders.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createEventBus, type EventBus } from '../../src/infra/events.js';
import type { Dataset, Model, TrainingRun } from '../../src/infra/prisma/client.js';
import { createJobQueue, type JobQueue } from '../../src/infra/queue.js';
import { defineModel } from '../../src/models/define-model.js';
import { publishVersion } from '../../src/registry/publish-version.js';
import { claimRun } from '../../src/runs/claim-run.js';
import { cancelRun, pauseRun, resumeRun } from '../../src/runs/control-run.js';
import { failRun, finishRun, handBackRun } from '../../src/runs/finish-run.js';
import { RunLostError, writeAsOwner, type Ownership } from '../../src/runs/own-run.js';
import { findRun, listRuns, queuePosition, readLogs, readSteps } from '../../src/runs/read-runs.js';
import { RunRecorder } from '../../src/runs/record-progress.js';
import { recoverRuns } from '../../src/runs/recover-runs.js';
import { queueStats } from '../../src/runs/queue-stats.js';
import { startRun } from '../../src/runs/start-run.js';
import { promoteTrial } from '../../src/runs/trials.js';
import { watchRun } from '../../src/runs/watch-runs.js';
import { dropDatabase, freshDatabase } from '../helpers/databases.js';
import { freshRedis } from '../helpers/redis.js';
import { createDatasetRow, createModelRow } from '../helpers/rows.js';

let url: string;
let database: Database;
let queue: JobQueue;
let events: EventBus;
let model: Model;
let dataset: Dataset;

beforeAll(async () => {
  url = await freshDatabase();
  database = connectDatabase(url);
  model = await createModelRow(database);
  dataset = await createDatasetRow(database);
});
beforeEach(() => {
  const redis = freshRedis();
  [queue, events] = [createJobQueue(redis), createEventBus(redis)];
  return async () => {
    await queue.close();
    await events.close();
    await database.trainingRun.deleteMany();
  };
});
afterAll(async () => {
  await database.$disconnect();
  await dropDatabase(url);
});

const input = () => ({ model: model.name, dataset: dataset.name, epochs: 2, batchSize: 16 });
const start = (more = {}) => startRun({ database, queue, events }, { ...input(), ...more });
const evaluation = {
  loss: 1,
  accuracy: 0.5,
  top5Accuracy: null,
  confusion: [
    [1, 0],
    [0, 1],
  ],
  perClass: [],
  mistakes: [],
};

/** As if the worker had gone without a word. */
const silence = (id: string, seconds = 60) =>
  database.trainingRun.update({ where: { id }, data: { heartbeatAt: new Date(Date.now() - seconds * 1000) } });

async function claimed(run: TrainingRun, workerId = 'w'): Promise<{ runId: string; attempt: number }> {
  const claim = await claimRun({ database, events }, run.id, workerId);
  if (claim.kind !== 'claimed') throw new Error(`the claim is ${claim.kind}`);
  return { runId: run.id, attempt: claim.run.attempt };
}

const recordAs = (owner: Ownership, onLost: (error: Error) => void = () => undefined) =>
  new RunRecorder(
    { database, events },
    { owner, totalSteps: 8, signal: new AbortController().signal, onLost, onPause: () => undefined },
  );

describe('a run of the NOTEBOOK preset', () => {
  let notebook: string;
  beforeAll(async () => {
    const name = 'notebook';
    const inputShape = { height: dataset.height!, width: dataset.width!, channels: dataset.channels! };
    await defineModel({ database }, { name, preset: 'NOTEBOOK', inputShape, classNames: dataset.classNames });
    notebook = name;
  });

  it("trains as the notebook does where the input leaves it open: Keras's Adam at 0.001, a constant rate, 10 epochs", async () => {
    const { config } = await startRun({ database, queue, events }, { model: notebook, dataset: dataset.name, batchSize: 16 });
    expect(config).toMatchObject({
      epochs: 10,
      optimizer: { kind: 'ADAM', learningRate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 1e-7, weightDecay: 0 },
      schedule: { kind: 'CONSTANT' },
    });
  });

  it('trains as the input says where it says', async () => {
    const { config } = await start({ model: notebook, optimizer: { kind: 'SGD' }, schedule: { kind: 'COSINE' } });
    expect(config).toMatchObject({ optimizer: { kind: 'SGD', learningRate: 0.1 }, schedule: { kind: 'COSINE' } });
  });
});

describe('a run is taken up', () => {
  it('by one of many workers that reach for it at once', async () => {
    const run = await start();
    const claims = await Promise.all(
      Array.from({ length: 20 }, (_, index) => claimRun({ database, events }, run.id, `w${index}`)),
    );
    expect(claims.filter(({ kind }) => kind === 'claimed')).toHaveLength(1);
    // The one that has it does not beat here, and on a busy machine that is noticed.
    expect(claims.filter(({ kind }) => kind === 'held' || kind === 'silent')).toHaveLength(19);
    expect(await findRun({ database }, run.id)).toMatchObject({ status: 'RUNNING', attempt: 1 });
  });

  it('again only when its worker has been silent for four seconds', async () => {
    const run = await start();
    await claimed(run);
    expect(await claimRun({ database, events }, run.id, 'other')).toEqual({ kind: 'held' });
    await silence(run.id);
    expect(await claimed(run, 'other')).toEqual({ runId: run.id, attempt: 2 });
  });

  it('by nobody who was held up for so long that another took it up meanwhile', async () => {
    const run = await start();
    const slow = database.$extends({
      query: {
        trainingRun: {
          async findUnique({ args, query }) {
            await silence(run.id);
            await claimed(run, 'other');
            return query(args);
          },
        },
      },
    });
    expect(await claimRun({ database: slow as unknown as Database, events }, run.id, 'w')).toEqual({ kind: 'held' });
    expect(await findRun({ database }, run.id)).toMatchObject({ workerId: 'other', attempt: 2 });
  });

  it('after those that come before it and whose worker may be dead, unless nobody takes them up in 15 seconds', async () => {
    const [first, next, urgent] = [await start(), await start(), await start({ priority: 1 })];
    await claimed(first);
    const claim = async (run: TrainingRun) => (await claimRun({ database, events }, run.id, 'other')).kind;
    await silence(first.id, 3);
    expect([await claim(next), await claim(first), await claim(urgent)]).toEqual(['overtaking', 'silent', 'claimed']);
    await silence(first.id, 5);
    expect([await claim(next), await claim(first)]).toEqual(['overtaking', 'claimed']);
    expect(await claim(next)).toBe('claimed');
    const [lost, behind] = [await start(), await start()];
    await claimed(lost);
    await silence(lost.id, 16);
    expect(await claim(behind)).toBe('claimed');
  });

  it('no more once it is over', async () => {
    const run = await start();
    await failRun({ database }, await claimed(run), 'bad');
    expect(await claimRun({ database, events }, run.id, 'other')).toEqual({ kind: 'over' });
    expect(await claimRun({ database, events }, 'no-such-run', 'other')).toEqual({ kind: 'over' });
  });

  it('until it has cost its worker the life over and over without getting anywhere', async () => {
    const run = await start();
    for (let attempt = 1; attempt <= MAX_FRUITLESS_ATTEMPTS; attempt++) {
      expect((await claimed(run)).attempt).toBe(attempt);
      await silence(run.id);
    }
    expect(await claimRun({ database, events }, run.id, 'w')).toEqual({ kind: 'over' });
    expect(await findRun({ database }, run.id)).toMatchObject({
      status: 'FAILED',
      failure: expect.stringContaining('given up'),
    });
  });

  it('however often it was handed back in good order', async () => {
    const run = await start();
    for (let attempt = 1; attempt <= 3 * MAX_FRUITLESS_ATTEMPTS; attempt++)
      await handBackRun({ database }, await claimed(run));
    expect(await findRun({ database }, run.id)).toMatchObject({ status: 'QUEUED', workerId: null });
  });
});

describe('a worker that has lost its run', () => {
  it('writes nothing of it any more: no progress, no end, no version', async () => {
    const run = await start();
    const old = await claimed(run);
    await silence(run.id);
    const current = await claimed(run, 'other');

    await expect(
      writeAsOwner(database, old, (tx) =>
        tx.logLine.create({ data: { runId: run.id, level: 'info', message: 'late' } }),
      ),
    ).rejects.toThrow(RunLostError);
    expect(await failRun({ database }, old, 'late')).toBe(false);
    expect(await handBackRun({ database }, old)).toBeUndefined();
    const publish = database.$transaction(async (tx) => {
      await publishVersion(tx, { ...version(run), artifacts: [] });
      await finishRun(tx, old, evaluation);
    });
    await expect(publish).rejects.toThrow(RunLostError);
    expect(await database.logLine.count({ where: { runId: run.id } })).toBe(0);
    expect(await database.modelVersion.count({ where: { runId: run.id } })).toBe(0);
    expect(await findRun({ database }, run.id)).toMatchObject({
      status: 'RUNNING',
      attempt: current.attempt,
      failure: null,
    });
  });

  it('is told so by its recorder', async () => {
    const run = await start();
    const owner = await claimed(run);
    const lost = new Promise<Error>((resolve) => recordAs(owner, resolve));
    await silence(run.id);
    await database.trainingRun.update({ where: { id: run.id }, data: { attempt: 99 } });
    expect(await lost).toBeInstanceOf(RunLostError);
  });
});

const version = (run: TrainingRun) => ({
  runId: run.id, modelId: model.id, definition: model.definition as never, classNames: model.classNames,
  mean: [0.5], std: [0.5], evaluation,
}); // prettier-ignore

it('versions of a model count up without gaps, however many are published at once', async () => {
  const runs = await Promise.all(Array.from({ length: 8 }, () => start()));
  const published = await Promise.all(
    runs.map((run) =>
      database.$transaction(
        (tx) => publishVersion(tx, { ...version(run), artifacts: [{ kind: 'ONNX', sha256: 'a', bytes: 3 }] }),
        { timeout: 20_000 },
      ),
    ),
  );
  const numbers = published.map(({ version: number }) => number).sort((a, b) => a - b);
  expect(numbers).toEqual(numbers.map((_, index) => numbers[0]! + index));
});

describe('the same idempotency key', () => {
  it('with the same input is one run under 50 requests at once', async () => {
    const runs = await Promise.all(Array.from({ length: 50 }, () => start({ idempotencyKey: 'k1', tags: ['a'] })));
    expect(new Set(runs.map(({ id }) => id)).size).toBe(1);
    expect(await database.trainingRun.count()).toBe(1);
    expect(await queue.counts('train')).toEqual({ waiting: 1, active: 0 });
  });

  it('with another input is a conflict, also at once', async () => {
    const answers = await Promise.allSettled([0, 1, 2, 3].map((seed) => start({ idempotencyKey: 'k2', seed })));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const answer of answers)
      if (answer.status === 'rejected')
        expect(answer.reason).toMatchObject({ code: 'CONFLICT', field: 'input.idempotencyKey' });
    await expect(start({ idempotencyKey: 'k2', epochs: 9 })).rejects.toMatchObject({ code: 'CONFLICT' });
  });

  it('takes a default given in full for the default left out', async () => {
    const [one, two] = [
      await start({ idempotencyKey: 'k3' }),
      await start({ idempotencyKey: 'k3', seed: 0, optimizer: { kind: 'SGD' }, tags: [] }),
    ];
    expect(two.id).toBe(one.id);
  });
});

describe('a run that cannot be is refused, and leaves no row', () => {
  const cases: [what: string, more: object, expected: object][] = [
    ['a model that is not there', { model: 'nobody' }, { code: 'NOT_FOUND', field: 'input.model' }],
    ['a data set that is not there', { dataset: 'nothing' }, { code: 'NOT_FOUND', field: 'input.dataset' }],
    ['a version that is not there', { dataset: 'shapes@7' }, { code: 'NOT_FOUND', field: 'input.dataset' }],
    ['a data set that is not READY', { dataset: 'unready@1' }, { code: 'BAD_USER_INPUT', field: 'input.dataset' }],
    ['other channels', { dataset: 'colour' }, { code: 'BAD_USER_INPUT', field: 'input.dataset' }],
    ['another size', { dataset: 'large' }, { code: 'BAD_USER_INPUT', field: 'input.dataset' }],
    ['another number of classes', { dataset: 'binary' }, { code: 'BAD_USER_INPUT', field: 'input.dataset' }],
    ['a batch larger than the data set', { batchSize: 65 }, { code: 'BAD_USER_INPUT', field: 'input.batchSize' }],
    [
      'a crop larger than the image',
      { augmentation: { cropPadding: 9 } },
      { code: 'BAD_USER_INPUT', field: 'input.augmentation.cropPadding' },
    ],
    ['no epochs', { epochs: 0 }, { code: 'BAD_USER_INPUT', field: 'input.epochs' }],
    ['a priority beyond all others', { priority: 1e9 }, { code: 'BAD_USER_INPUT', field: 'input.priority' }],
    ['an empty tag', { tags: ['a', ''] }, { code: 'BAD_USER_INPUT', field: 'input.tags.1' }],
    ['a NUL in a key', { idempotencyKey: 'a\0b' }, { code: 'BAD_USER_INPUT', field: 'input.idempotencyKey' }],
    ['a NUL in a name', { model: 'a\0b' }, { code: 'BAD_USER_INPUT', field: 'input.model' }],
  ];
  beforeAll(async () => {
    await createDatasetRow(database, { name: 'unready', status: 'VALIDATING' });
    await createDatasetRow(database, { name: 'colour', channels: 3 });
    await createDatasetRow(database, { name: 'large', height: 16 });
    await createDatasetRow(database, { name: 'binary', classNames: ['a', 'b'] });
  });
  it.each(cases)('%s', async (_what, more, expected) => {
    await expect(start(more)).rejects.toMatchObject(expected);
    expect(await database.trainingRun.count()).toBe(0);
  });
});

it('a run whose queue is away is recorded, and queued when the queue is back', async () => {
  const dead = createJobQueue({ url: 'redis://127.0.0.1:1', prefix: 'nowhere' });
  const run = await startRun({ database, queue: dead, events }, input());
  await dead.close();
  expect(run).toMatchObject({ status: 'QUEUED', totalSteps: 8 });
  await recoverRuns({ database, queue });
  expect(await queue.has('train', { v: 1, runId: run.id })).toBe(true);
});

describe('recovery', () => {
  it('queues what waits or has a dead worker, once, by priority, and nothing else', async () => {
    const [waiting, dead, alive, over] = [await start(), await start(), await start(), await start()];
    for (const run of [dead, alive, over]) await claimed(run);
    await silence(dead.id);
    await failRun({ database }, { runId: over.id, attempt: 1 }, 'bad');
    for (const { id } of [waiting, dead, alive, over]) await queue.remove('train', { v: 1, runId: id });
    for (let times = 0; times < 3; times++) await recoverRuns({ database, queue });
    const queued = await Promise.all(
      [waiting, dead, alive, over].map(({ id }) => queue.has('train', { v: 1, runId: id })),
    );
    expect(queued).toEqual([true, true, false, false]);
    expect(await queue.counts('train')).toEqual({ waiting: 2, active: 0 });
  });

  it('finds every one of more than fit into one question, many of which began to wait at the same moment', async () => {
    const row = { modelId: model.id, datasetId: dataset.id, config: {}, plan: {}, totalSteps: 8 };
    const data = Array.from({ length: 1_002 }, (_, index) => ({ ...row, queuedAt: new Date(index < 300 ? 2_000 : 1_000) }));
    await database.trainingRun.createMany({ data });
    await recoverRuns({ database, queue });
    expect(await queue.counts('train')).toEqual({ waiting: 1_002, active: 0 });
  });
});

describe('cancelling', () => {
  const cancel = (id: string) => cancelRun({ database, queue, events }, id);

  it('ends a waiting run at once and takes its job out', async () => {
    const run = await start();
    expect(await cancel(run.id)).toMatchObject({ status: 'CANCELLED', finishedAt: expect.any(Date) });
    expect(await queue.has('train', { v: 1, runId: run.id })).toBe(false);
  });

  it('asks a running one, which its recorder cancels within its next second, in place of what it was to write', async () => {
    const run = await start();
    const owner = await claimed(run);
    let recorder!: RunRecorder;
    const lost = new Promise<Error>((resolve) => (recorder = recordAs(owner, resolve)));
    recorder.step({ step: 1, epoch: 1, loss: 1, accuracy: 0, learningRate: 0.1, imagesPerSecond: 1 });
    const started = Date.now();
    expect(await cancel(run.id)).toMatchObject({ status: 'RUNNING', requestedState: 'CANCEL' });
    expect(await lost).toBeInstanceOf(RunLostError);
    expect(Date.now() - started).toBeLessThan(2_000);
    expect(await findRun({ database }, run.id)).toMatchObject({ status: 'CANCELLED', step: 1, finishedAt: expect.any(Date) });
    const late = recorder.end((tx) => finishRun(tx, owner, evaluation));
    await expect(late).rejects.toThrow(RunLostError);
    await recorder.close();
    const { items } = await readLogs({ database }, run.id, { first: 10 });
    expect(items.map(({ message }) => message)).toEqual(['cancelled']);
  });

  it('takes the place of the version that a run was about to publish when its worker hears of it', async () => {
    const run = await start();
    const owner = await claimed(run);
    const recorder = recordAs(owner);
    await cancel(run.id);
    const publish = recorder.end(async (tx) => {
      await publishVersion(tx, { ...version(run), artifacts: [] });
      await finishRun(tx, owner, evaluation);
    });
    await expect(publish).rejects.toThrow(RunLostError);
    await recorder.close();
    expect(await findRun({ database }, run.id)).toMatchObject({ status: 'CANCELLED' });
    expect(await database.modelVersion.count({ where: { runId: run.id } })).toBe(0);
  });

  it('ends a run whose worker is dead, and what a dying worker hands back', async () => {
    const [dead, dying] = [await start(), await start()];
    await claimed(dead);
    await silence(dead.id);
    expect(await cancel(dead.id)).toMatchObject({ status: 'CANCELLED' });
    const owner = await claimed(dying);
    const recorder = recordAs(owner);
    await cancel(dying.id);
    await recorder.end((tx) => handBackRun({ database: tx }, owner)).catch(() => undefined);
    await recorder.close();
    expect(await findRun({ database }, dying.id)).toMatchObject({ status: 'CANCELLED' });
  });

  it('leaves a resting run as it was where it fails on its way: asking and ending are one', async () => {
    const run = await start();
    await pauseRun({ database, queue, events }, run.id);
    await database.$executeRaw`ALTER TABLE "TrainingRun" ADD CONSTRAINT never CHECK (status <> 'CANCELLED') NOT VALID`;
    try {
      await expect(cancel(run.id)).rejects.toThrow();
    } finally {
      await database.$executeRaw`ALTER TABLE "TrainingRun" DROP CONSTRAINT never`;
    }
    expect(await findRun({ database }, run.id)).toMatchObject({ status: 'PAUSED', requestedState: 'PAUSE' });
  });

  it('is refused for what is over and for what is not there', async () => {
    const run = await start();
    await cancel(run.id);
    await expect(cancel(run.id)).rejects.toMatchObject({ code: 'CONFLICT', field: 'id' });
    await expect(cancel('nothing')).rejects.toMatchObject({ code: 'NOT_FOUND', field: 'id' });
  });
});

describe('a trial that a user pauses as it comes to its rung', () => {
  it('is not promoted by its sweep until it is resumed, which leaves it to the sweep', async () => {
    const { id } = await start();
    await database.trainingRun.update({ where: { id }, data: { status: 'PAUSED', requestedState: 'PAUSE', pauseAfterEpoch: 1 } });
    const losses = { trainLoss: 1, trainAccuracy: 0, validationLoss: 1, validationAccuracy: 0 };
    await database.epochMetric.create({ data: { runId: id, epoch: 1, ...losses, learningRate: 0.1, imagesPerSecond: 1, seconds: 1 } });
    const promote = () =>
      promoteTrial(database, { id, pausedAfterEpoch: 1 }, { pauseAfterEpoch: null, priority: 1 }, 'promoted');
    const resume = () => resumeRun({ database, queue, events }, id);
    expect(await promote()).toBe(false);
    expect(await resume()).toMatchObject({ status: 'PAUSED', requestedState: 'RUN' });
    await expect(resume()).rejects.toMatchObject({ code: 'CONFLICT', message: expect.stringContaining('where its sweep holds it') });
    expect(await promote()).toBe(true);
    expect(await findRun({ database }, id)).toMatchObject({ status: 'QUEUED', pauseAfterEpoch: null });
  });
});

describe('reading', () => {
  it('lists the newest first, by model, status and tag, page by page', async () => {
    const runs: TrainingRun[] = [];
    for (let number = 0; number < 5; number++) runs.push(await start({ tags: [number % 2 ? 'odd' : 'even'] }));
    await cancelRun({ database, queue, events }, runs[4]!.id);
    const ids = async (...args: Parameters<typeof listRuns> extends [unknown, ...infer R] ? R : never) =>
      (await listRuns({ database }, ...args)).items.map(({ id }) => runs.findIndex((run) => run.id === id));
    expect(await ids({}, { first: 2 })).toEqual([4, 3]);
    expect(await ids({}, { first: 9, after: `NUMBER:${runs[3]!.number}` })).toEqual([2, 1, 0]);
    expect(await ids({ tag: 'odd' }, {})).toEqual([3, 1]);
    expect(await ids({ status: ['CANCELLED'] }, {})).toEqual([4]);
    expect(await ids({ model: 'other' }, {})).toEqual([]);
    expect(await queueStats({ database })).toEqual({ waiting: 4, active: 0, paused: 0, failed: 0 });
  });

  it('counts who is ahead in the queue by priority, then by age', async () => {
    const [plain, later, urgent] = [await start(), await start(), await start({ priority: 5 })];
    expect(await Promise.all([plain, later, urgent].map((run) => queuePosition({ database }, run)))).toEqual([2, 3, 1]);
  });

  it('thins steps evenly and keeps the last', async () => {
    const { id: runId } = await start();
    const row = { runId, epoch: 1, loss: 1, accuracy: 0, learningRate: 0.1, imagesPerSecond: 1 };
    await database.stepMetric.createMany({
      data: Array.from({ length: 1_000 }, (_, index) => ({ ...row, step: index + 1 })),
    });
    const steps = async (maxPoints: number) =>
      (await readSteps({ database }, runId, maxPoints)).map(({ step }) => step);
    expect(await steps(10)).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
    expect(await steps(1)).toEqual([1_000]);
    expect(await steps(5_000)).toHaveLength(1_000);
    expect(await steps(333)).toEqual(Array.from({ length: 333 }, (_, k) => Math.ceil(((k + 1) * 1_000) / 333)));
    await expect(steps(0)).rejects.toMatchObject({ code: 'BAD_USER_INPUT', field: 'maxPoints' });
  });

  it('keeps what is recorded in order, once, and gives the log page by page', async () => {
    const run = await start();
    const owner = await claimed(run);
    const recorder = recordAs(owner);
    const metrics = { loss: 1, accuracy: 0.5, learningRate: 0.1, imagesPerSecond: 10 };
    for (let step = 1; step <= 3; step++) {
      recorder.step({ step, epoch: 1, ...metrics });
      recorder.log('info', `line ${step}`);
    }
    await recorder.epoch({
      epoch: 1,
      trainLoss: 1,
      trainAccuracy: 0,
      validationLoss: 1,
      validationAccuracy: 0,
      learningRate: 0.1,
      imagesPerSecond: 1,
      seconds: 1,
    });
    await recorder.end(async () => undefined);
    await recorder.close();
    expect((await readSteps({ database }, run.id, 10)).map(({ step }) => step)).toEqual([1, 2, 3]);
    expect(await createLoaders(database).history.load(run.id)).toHaveLength(1);
    expect(await findRun({ database }, run.id)).toMatchObject({ step: 3, epoch: 1, etaSeconds: expect.any(Number) });
    const page = await readLogs({ database }, run.id, { first: 2 });
    expect(page.items.map(({ message }) => message)).toEqual(['line 1', 'line 2']);
    const rest = await readLogs({ database }, run.id, { first: 2, after: String(page.items[1]!.id) });
    expect(rest).toMatchObject({ items: [{ message: 'line 3' }], hasNextPage: false, totalCount: 3 });
    await expect(readLogs({ database }, run.id, { first: 2, after: 'x' })).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
    });
  });
});

describe('watching', () => {
  it('gives the run at once, each second, at news, and its end as the last', async () => {
    const run = await start();
    const owner = await claimed(run);
    const times: number[] = [];
    const seen: string[] = [];
    const watching = (async () => {
      for await (const { status } of watchRun({ database, events }, run.id, new AbortController().signal)) {
        times.push(Date.now());
        seen.push(status);
      }
    })();
    await expect.poll(() => times.length, { timeout: 15_000 }).toBeGreaterThanOrEqual(3);
    await failRun({ database }, owner, 'bad');
    const failedAt = Date.now();
    await events.publish(`run:${run.id}`, {});
    await watching;
    expect(times.at(-1)! - failedAt).toBeLessThan(500);
    expect(seen.at(-1)).toBe('FAILED');
    expect(Math.max(...times.slice(1).map((time, index) => time - times[index]!))).toBeLessThan(1_300);
  });

  it('ends when the watcher leaves, and is refused for a run that is not there', async () => {
    const run = await start();
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 100);
    for await (const _ of watchRun({ database, events }, run.id, leaving.signal));
    await expect(watchRun({ database, events }, 'nothing', leaving.signal).next()).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });
});
