import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { connect } from '../helpers/databases.js';
import { openGate } from '../helpers/gate.js';
import { startPlatform, type TestPlatform, type WorkerProcess } from '../helpers/platform.js';
import { ask, defineTiny, glanceAtRun, readRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { expectWhole, weightsOf } from '../helpers/whole-run.js';

// A machine busy with other tests must not be taken for a fault; what is promised in seconds is held below.
vi.setConfig({ testTimeout: 180_000 });

const EPOCHS = 40;
const STEPS = EPOCHS * 13;
/** For ever, as far as these tests go. */
const LONG = 5_000;
let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */

const order = (field: string) => `mutation ($id: ID!) { ${field}(id: $id) { status queuePosition } }`;
const pause = async (id: string) => (await ask(platform, order('pauseTraining'), { id })).pauseTraining;
const resume = async (id: string) => (await ask(platform, order('resumeTraining'), { id })).resumeTraining;
const cancel = async (id: string) => (await ask(platform, order('cancelTraining'), { id })).cancelTraining;

async function refusal(field: string, id: string) {
  const { errors } = await platform.graphql(order(field), { id });
  return errors?.[0] && { ...errors[0].extensions, message: errors[0].message };
}

const untilStatus = (id: string, status: string, timeoutMs = 30_000) =>
  until(async () => (await glanceAtRun(platform, id)).status === status, timeoutMs);
const untilTraining = (id: string, after = 0) => until(async () => (await glanceAtRun(platform, id)).step > after, 30_000);

/** The run left alone that others are compared with; trained once, by the worker that is there. */
const SETTINGS = { epochs: EPOCHS, seed: 3, checkpointEverySteps: 7 };
let alone: Promise<any> | undefined;
const undisturbed = () => (alone ??= startTiny(platform, SETTINGS).then((id) => untilOver(platform, id)));

async function expectAsUndisturbed(run: any): Promise<void> {
  expectWhole(run, EPOCHS, STEPS / EPOCHS);
  const expected = await undisturbed();
  expect(run.steps.map(({ loss }: any) => loss)).toEqual(expected.steps.map(({ loss }: any) => loss));
  expect(weightsOf(run)).toBe(weightsOf(expected));
}

describe('with a worker', () => {
  let worker: WorkerProcess;
  beforeAll(async () => {
    worker = await platform.startWorker('train');
  });
  afterAll(() => worker.kill('SIGTERM'));

  it('a run paused and resumed at moments whatever ends with the weights of the run left alone', async () => {
    await undisturbed();
    const id = await startTiny(platform, SETTINGS);
    let pauses = 0;
    for (let step = 0; ; pauses++) {
      await until(async () => {
        const run = await readRun(platform, id);
        return run.status === 'SUCCEEDED' || run.step > step;
      }, 30_000);
      await sleep(Math.random() * 300);
      if ((await readRun(platform, id)).status === 'SUCCEEDED' || (await refusal('pauseTraining', id))) break;
      await until(async () => (await glanceAtRun(platform, id)).status !== 'RUNNING', 30_000);
      const run = await readRun(platform, id);
      if (run.status === 'SUCCEEDED') break;
      expect(run).toMatchObject({ status: 'PAUSED', worker: null, finishedAt: null, etaSeconds: null, queuePosition: null });
      step = run.step;
      await resume(id);
    }
    const run = await untilOver(platform, id);
    expect(pauses).toBeGreaterThanOrEqual(2);
    await expectAsUndisturbed(run);
  });

  it('a running run pauses and is cancelled within two seconds each, and the next one begins', async () => {
    const [running, next] = [await startTiny(platform, { epochs: LONG }), await startTiny(platform, { epochs: LONG })];
    await untilTraining(running);
    const asked = Date.now();
    expect(await pause(running)).toMatchObject({ status: 'RUNNING' });
    await untilStatus(running, 'PAUSED');
    expect(Date.now() - asked).toBeLessThan(2_000);
    await untilTraining(next);
    expect(await cancel(running)).toMatchObject({ status: 'CANCELLED' });
    const cancelled = Date.now();
    await cancel(next);
    await untilStatus(next, 'CANCELLED');
    expect(Date.now() - cancelled).toBeLessThan(2_000);
  });

  it('goes on from the step that it paused at, as its log says', async () => {
    const id = await startTiny(platform, { epochs: LONG });
    await untilTraining(id, 30);
    await pause(id);
    await untilStatus(id, 'PAUSED');
    const { step } = await readRun(platform, id);
    await resume(id);
    await untilTraining(id, step);
    await pause(id);
    await untilStatus(id, 'PAUSED');
    const messages = (await readRun(platform, id)).logs.nodes.map(({ message }: any) => message);
    expect(messages.filter((message: string) => message === 'paused')).toHaveLength(2);
    expect(messages).toContain(`goes on from step ${step} of ${LONG * 13}`);
    await cancel(id);
  });

  it('a pause that is taken back before it came is none', async () => {
    const id = await startTiny(platform, { epochs: LONG });
    await untilTraining(id);
    const { step } = await readRun(platform, id);
    await pause(id);
    expect((await resume(id)).status).toMatch(/RUNNING|QUEUED/);
    await untilTraining(id, step + 50);
    expect(await readRun(platform, id)).toMatchObject({ status: 'RUNNING' });
    await cancel(id);
    await untilStatus(id, 'CANCELLED');
  });

  it('is refused where it makes no sense, and the refusal names the state', async () => {
    const over = await untilOver(platform, await startTiny(platform, { epochs: 1 }));
    const running = await startTiny(platform, { epochs: LONG });
    await untilTraining(running);
    const waiting = await startTiny(platform);
    const said = async (field: string, id: string) => {
      const { code, field: at, message } = (await refusal(field, id)) ?? {};
      return [code, at, message];
    };
    for (const field of ['pauseTraining', 'resumeTraining', 'cancelTraining'])
      expect(await said(field, over.id)).toEqual(['CONFLICT', 'id', expect.stringContaining('SUCCEEDED')]);
    expect(await said('resumeTraining', running)).toEqual(['CONFLICT', 'id', 'the run is RUNNING, not PAUSED']);
    expect(await said('resumeTraining', waiting)).toEqual(['CONFLICT', 'id', 'the run is QUEUED, not PAUSED']);
    await pause(waiting);
    expect(await said('pauseTraining', waiting)).toEqual(['CONFLICT', 'id', expect.stringContaining('PAUSED')]);
    expect(await said('pauseTraining', 'none')).toEqual(['NOT_FOUND', 'id', expect.anything()]);
    expect(await said('resumeTraining', 'none')).toEqual(['NOT_FOUND', 'id', expect.anything()]);
    expect(await cancel(waiting)).toMatchObject({ status: 'CANCELLED' });
    expect(await said('resumeTraining', waiting)).toEqual(['CONFLICT', 'id', expect.stringContaining('CANCELLED')]);
    await cancel(running);
    await untilStatus(running, 'CANCELLED');
  });
});

describe('without a worker', () => {
  beforeEach(() => async () => {
    const { runs } = await ask(platform, '{ runs(first: 100, status: [QUEUED, RUNNING, PAUSED]) { nodes { id } } }');
    for (const { id } of runs.nodes) await cancel(id);
  });

  it('a waiting run pauses at once and leaves the queue; resumed, it waits behind those of its priority', async () => {
    const [first, second, urgent] = [
      await startTiny(platform),
      await startTiny(platform),
      await startTiny(platform, { priority: 7 }),
    ];
    const positions = async () => Promise.all(
      [first, second, urgent].map(async (id) => (await readRun(platform, id)).queuePosition),
    );
    expect(await positions()).toEqual([2, 3, 1]);
    expect(await pause(first)).toEqual({ status: 'PAUSED', queuePosition: null });
    expect(await pause(urgent)).toEqual({ status: 'PAUSED', queuePosition: null });
    expect(await positions()).toEqual([null, 1, null]);
    expect(await resume(first)).toEqual({ status: 'QUEUED', queuePosition: 2 });
    // It keeps its priority.
    expect(await resume(urgent)).toEqual({ status: 'QUEUED', queuePosition: 1 });
    expect(await positions()).toEqual([3, 2, 1]);

    const worker = await platform.startWorker('train');
    const runs = await Promise.all([first, second, urgent].map((id) => untilOver(platform, id)));
    const begun = runs.map(({ startedAt }) => Date.parse(startedAt));
    expect(begun[2]).toBeLessThan(begun[1]!);
    expect(begun[1]).toBeLessThan(begun[0]!);
    await worker.kill('SIGTERM');
  });

  it('a run whose worker died while a pause was asked of it is PAUSED when it is found, and goes on from there', async () => {
    const worker = await platform.startWorker('train');
    const id = await startTiny(platform, { epochs: LONG, checkpointEverySteps: 5 });
    await untilTraining(id, 20);
    await worker.kill('SIGKILL');
    expect(await pause(id)).toMatchObject({ status: 'RUNNING' });
    const other = await platform.startWorker('train');
    await untilStatus(id, 'PAUSED');
    expect(await readRun(platform, id)).toMatchObject({ status: 'PAUSED', attempts: 1, worker: null });
    await resume(id);
    await until(async () => (await glanceAtRun(platform, id)).attempts === 2, 20_000);
    await pause(id);
    await untilStatus(id, 'PAUSED');
    await other.kill('SIGTERM');
  });

  it('with the object store away a run pauses at its last checkpoint, and goes on from there once the store is back', async () => {
    const store = await openGate(platform.env['S3_ENDPOINT']!);
    const worker = await platform.startWorker('train', { S3_ENDPOINT: store.url });
    onTestFinished(() => worker.stop());
    await undisturbed();
    const id = await startTiny(platform, SETTINGS);
    await untilTraining(id, 20);
    await store.shut();
    await pause(id);
    // 1 s until its worker hears of it, 5 s that it waits for the store.
    await untilStatus(id, 'PAUSED', 10_000);
    const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { step worker checkpoints { step } } }', { id });
    expect(run).toMatchObject({ worker: null });
    await store.open();
    await resume(id);
    const over = await untilOver(platform, id);
    expect(over.logs.nodes.map(({ message }: any) => message)).toContain(`goes on from step ${run.checkpoints[0].step} of ${STEPS}`);
    await expectAsUndisturbed(over);
  });

  it('with the object store silent a run is cancelled within two seconds all the same, and its worker takes the next', async () => {
    const store = await openGate(platform.env['S3_ENDPOINT']!);
    const worker = await platform.startWorker('train', { S3_ENDPOINT: store.url });
    onTestFinished(() => worker.stop());
    const id = await startTiny(platform, { epochs: LONG, checkpointEverySteps: 1 });
    await untilTraining(id, 2);
    store.hold();
    // It waits for the store.
    await until(async () => {
      const { step } = await glanceAtRun(platform, id);
      await sleep(1_500);
      return (await glanceAtRun(platform, id)).step === step;
    }, 30_000);
    expect(await cancel(id)).toMatchObject({ status: 'RUNNING' });
    await untilStatus(id, 'CANCELLED', 2_000);
    await store.open();
    expect(await untilOver(platform, await startTiny(platform, { epochs: 1 }))).toMatchObject({ status: 'SUCCEEDED' });
    expect((await readRun(platform, id)).logs.nodes.at(-1)).toMatchObject({ message: 'cancelled' });
  });

  it('a run whose worker is dead pauses at once', async () => {
    const worker = await platform.startWorker('train');
    const id = await startTiny(platform, { epochs: LONG });
    await untilTraining(id);
    await worker.kill('SIGKILL');
    // As if it had been silent for long enough to count as dead, which run-ownership.test.ts times.
    const database = await connect(platform.env['DATABASE_URL']!);
    await database.query(`UPDATE "TrainingRun" SET "heartbeatAt" = clock_timestamp() - interval '1 minute' WHERE id = $1`, [id]);
    expect(await pause(id)).toMatchObject({ status: 'PAUSED' });
  });

  it('a worker that is shut down while a pause is asked leaves the run PAUSED', async () => {
    const worker = await platform.startWorker('train');
    const id = await startTiny(platform, { epochs: LONG });
    await untilTraining(id);
    await pause(id);
    await worker.kill('SIGTERM');
    expect(await worker.ended).toBe('exit code 0');
    expect(await readRun(platform, id)).toMatchObject({ status: 'PAUSED', worker: null });
  });
});
