import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { linesOf, readSweep, startSweep, sweepInput, untilSweepOver } from '../helpers/sweeps.js';
import { ask, defineTiny, until, uploadShapes } from '../helpers/training.js';

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets', 'sweeps'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of queries */
const at = (config: any, path: string) => path.split('.').reduce((value, name) => value[name], config);
const START = 'mutation ($input: StartSweepInput!) { startSweep(input: $input) { id } }';
const CANCEL = 'mutation ($id: ID!) { cancelSweep(id: $id) { status runs { status } } }';

async function recorded(): Promise<{ sweeps: number; runs: number }> {
  const { sweeps, runs } = await ask(platform, '{ sweeps { totalCount } runs { totalCount } }');
  return { sweeps: sweeps.totalCount, runs: runs.totalCount };
}

async function refusal(input: Record<string, unknown>): Promise<string> {
  const { errors } = await platform.graphql(START, { input });
  return errors ? `${errors[0]!.extensions.code} ${errors[0]!.extensions.field}: ${errors[0]!.message}` : 'accepted';
}

describe('a grid', () => {
  it('of two by two trains all four, as ordinary runs, and names the best', async () => {
    const parameters = [
      { path: 'optimizer.learningRate', values: [0.0001, 0.1] },
      { path: 'batchSize', values: [16, 64] },
    ];
    const input = sweepInput({ parameters }, { tags: ['grid'], optimizer: { momentum: 0.8 } });
    const sweep = await untilSweepOver(platform, await startSweep(platform, input));
    expect(sweep).toMatchObject({
      name: 'rates', status: 'SUCCEEDED', algorithm: 'GRID', metric: 'VALIDATION_ACCURACY', trials: 4, rungs: [],
    }); // prettier-ignore
    const tried = sweep.runs.map((run: any) => parameters.map(({ path }) => at(run.config, path)));
    expect(tried).toEqual([[0.0001, 16], [0.0001, 64], [0.1, 16], [0.1, 64]]);
    for (const run of sweep.runs) {
      expect(run).toMatchObject({ status: 'SUCCEEDED', attempts: 1, tags: ['grid'], sweep: { id: sweep.id } });
      expect(run.config.optimizer.momentum).toBe(0.8);
      expect(run.history).toHaveLength(3);
    }
    expect(sweep.runs.map(({ trial }: any) => trial)).toEqual([1, 2, 3, 4]);
    expect(linesOf(sweep.runs[2])[0]).toBe('trial 3 of 4 of the sweep rates: optimizer.learningRate 0.1, batchSize 16');
    const scores = sweep.runs.map((run: any) => run.history[2].validationAccuracy);
    expect(scores[sweep.best.trial - 1]).toBe(Math.max(...scores));
    expect(new Date(sweep.finishedAt) >= new Date(sweep.runs[3].finishedAt)).toBe(true);
    const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { version { version } sweep { name } } }', { id: sweep.best.id });
    expect(run).toEqual({ version: { version: expect.any(Number) }, sweep: { name: 'rates' } });
  });

  it('of whose trials one diverges still succeeds; one that all fail in has failed', async () => {
    const parameters = [{ path: 'optimizer.learningRate', values: [1e30, 0.1] }];
    const base = { schedule: { kind: 'CONSTANT' } };
    const metric = 'VALIDATION_LOSS';
    const some = await untilSweepOver(platform, await startSweep(platform, sweepInput({ parameters, metric }, base)));
    expect(some).toMatchObject({ status: 'SUCCEEDED', best: { trial: 2 } });
    expect(some.runs[0]).toMatchObject({ status: 'FAILED', failure: expect.stringContaining('learning rate 1e+30') });
    const worse = [{ path: 'optimizer.learningRate', values: [1e30, 2e30] }];
    const all = await untilSweepOver(platform, await startSweep(platform, sweepInput({ parameters: worse }, base)));
    expect(all).toMatchObject({ status: 'FAILED', best: null });
  });
});

describe('ASHA', () => {
  it('stops most trials early, says why, and trains the best to its end', async () => {
    const parameters = [{ path: 'optimizer.learningRate', values: [1e-5, 1e-4, 0.001, 0.01, 0.05, 0.1] }];
    const input = sweepInput({ parameters, algorithm: 'ASHA', trials: 6, metric: 'VALIDATION_LOSS' }, { epochs: 9 });
    const sweep = await untilSweepOver(platform, await startSweep(platform, input));
    expect(sweep).toMatchObject({ status: 'SUCCEEDED', trials: 6, rungs: [1, 3] });
    const stops = new Set(sweep.runs.map((run: any) => `${run.status} ${run.history.length}`));
    expect([...stops].every((stop) => ['CANCELLED 1', 'CANCELLED 3', 'SUCCEEDED 9'].includes(stop as string))).toBe(true);
    expect(sweep.runs.filter(({ status }: any) => status === 'CANCELLED').length).toBeGreaterThanOrEqual(4);
    const best = sweep.runs[sweep.best.trial - 1];
    expect(best).toMatchObject({ status: 'SUCCEEDED', attempts: 3 });
    expect(linesOf(best).filter((line) => line.startsWith('promoted'))).toEqual([
      expect.stringMatching(/^promoted by the sweep rates: after epoch 1 its VALIDATION_LOSS of [\d.]+ is number 1 of \d; trains on to epoch 3$/),
      expect.stringMatching(/^promoted by the sweep rates: after epoch 3 its VALIDATION_LOSS of [\d.]+ is number 1 of \d; trains to its end$/),
    ]);
    const stopped = sweep.runs.find(({ status }: any) => status === 'CANCELLED');
    expect(linesOf(stopped).at(-1)).toMatch(
      /^stopped by the sweep rates: after epoch \d its VALIDATION_LOSS of [\d.]+ is number \d of \d, and 1 in 3 trains on$/,
    );
    // The rate falls over all nine epochs, whether or not the trial gets that far.
    for (const run of sweep.runs) expect(run.config.epochs).toBe(9);
  });
});

describe('startSweep', () => {
  const rate = (...values: unknown[]) => [{ path: 'optimizer.learningRate', values }];

  it.each([
    [{ parameters: [{ path: 'optimizer.lr', values: [1] }] }, {},
      'BAD_USER_INPUT input.parameters.0.path: there is no field "lr" in optimizer'],
    [{ parameters: [{ path: 'batchSize', values: [16, 'x'] }] }, {}, 'BAD_USER_INPUT input.parameters.0.values.1: must be Int!, not "x"'],
    [{ parameters: rate(0.1, -1) }, {},
      'BAD_USER_INPUT input.parameters.0.values.1: trial 2 (optimizer.learningRate -1): must be above 0, not -1'],
    [{ parameters: [...rate(0.1), { path: 'batchSize', values: [16, 100_000] }] }, {},
      'BAD_USER_INPUT input.parameters.1.values.1: trial 2 (optimizer.learningRate 0.1, batchSize 100000): must be a whole number from 1'],
    [{ parameters: [{ path: 'batchSize', values: [16, 1_000] }] }, {},
      'BAD_USER_INPUT input.parameters.0.values.1: trial 2 (batchSize 1000): must be at most the 203 training images'],
    [{ parameters: [{ path: 'optimizer', values: [{ learningRate: 0 }] }] }, {},
      'BAD_USER_INPUT input.parameters.0.values.0.learningRate: '],
    [{ parameters: [{ path: 'model', values: ['tiny', 'none'] }] }, {},
      'NOT_FOUND input.parameters.0.values.1: trial 2 (model "none"): there is no'],
    [{ parameters: [{ path: 'epochs', min: -3, max: 4 }], algorithm: 'RANDOM' }, {}, 'BAD_USER_INPUT input.parameters.0: trial '],
    [{}, { dataset: 'none' }, 'NOT_FOUND input.base.dataset: trial 1 (optimizer.learningRate 0.01): there is no data set none'],
    [{}, { labelSmoothing: 2 }, 'BAD_USER_INPUT input.base.labelSmoothing: '],
    [{ name: '' }, {}, 'BAD_USER_INPUT input.name: must be printable text'],
    [{ parameters: [] }, {}, 'BAD_USER_INPUT input.parameters: a sweep varies 1 to 20 fields, not 0'],
    [{ parameters: [{ path: 'seed', min: 0, max: 5 }] }, {}, 'BAD_USER_INPUT input.parameters.0.values: a grid tries values'],
    [{ parameters: ['seed', 'priority'].map((path) => ({ path, values: Array.from({ length: 40 }, (_, i) => i) })) }, {},
      'BAD_USER_INPUT input.parameters: makes 1600 trials; a sweep has at most 1000'],
    [{ algorithm: 'RANDOM', trials: 1_001 }, {}, 'BAD_USER_INPUT input.trials: must be a whole number from 1 to 1000, not 1001'],
    [{ algorithm: 'ASHA', reductionFactor: 1 }, {}, 'BAD_USER_INPUT input.reductionFactor: must be a whole number from 2 to 100, not 1'],
    [{ algorithm: 'ASHA', minEpochs: 4 }, {}, "BAD_USER_INPUT input.minEpochs: must be at most the base's 3 epochs, not 4"],
    [{ algorithm: 'ASHA', parameters: [{ path: 'epochs', values: [3, 9] }] }, {},
      'BAD_USER_INPUT input.parameters.0.path: ASHA decides itself'],
    [{ metric: 'SPEED' }, {}, 'BAD_USER_INPUT input.metric: '],
  ])('refuses %j with %j and records nothing', async (more, base, expected) => {
    const before = await recorded();
    expect(await refusal(sweepInput(more, base))).toContain(expected);
    expect(await recorded()).toEqual(before);
  });

  it('asked twice with one key is one sweep, also at once; with another input it is a conflict', async () => {
    const before = await recorded();
    const input = sweepInput({}, { epochs: 1, idempotencyKey: 'one sweep' });
    const ids = await Promise.all(Array.from({ length: 10 }, () => startSweep(platform, input)));
    expect(new Set([...ids, await startSweep(platform, input)]).size).toBe(1);
    expect(await recorded()).toEqual({ sweeps: before.sweeps + 1, runs: before.runs + 2 });
    expect(await refusal({ ...input, metric: 'VALIDATION_LOSS' })).toContain('CONFLICT input.base.idempotencyKey');
    expect(await untilSweepOver(platform, ids[0]!)).toMatchObject({ status: 'SUCCEEDED' });
  });

  it("varies a field of the preset's own recipe, not of the general defaults", async () => {
    await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
      input: {
        name: 'notebook', preset: 'NOTEBOOK', inputShape: { height: 8, width: 8, channels: 1 },
        classNames: ['upper-left', 'upper-right', 'lower-left', 'lower-right'],
      },
    }); // prettier-ignore
    const parameters = [{ path: 'model', values: ['tiny', 'notebook'] }, { path: 'optimizer.learningRate', values: [0.01] }];
    const id = await startSweep(platform, sweepInput({ parameters }));
    const { runs } = await readSweep(platform, id);
    await ask(platform, CANCEL, { id });
    expect(runs.map(({ config: { model, optimizer: { kind, learningRate } } }: any) => [model, kind, learningRate])).toEqual([
      ['tiny', 'SGD', 0.01],
      ['notebook', 'ADAM', 0.01],
    ]);
  });

  it('draws the same trials for the same seed', async () => {
    const parameters = [{ path: 'optimizer.learningRate', min: 0.001, max: 1, log: true }, { path: 'batchSize', min: 8, max: 64 }];
    const drawn = async (seed: number) => {
      const id = await startSweep(platform, sweepInput({ algorithm: 'RANDOM', trials: 5, parameters }, { seed }));
      const { runs } = await readSweep(platform, id);
      await ask(platform, CANCEL, { id });
      return runs.map(({ config }: any) => [config.optimizer.learningRate, config.batchSize]);
    };
    const [first, again, other] = [await drawn(1), await drawn(1), await drawn(2)];
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });
});

describe('cancelSweep', () => {
  it('cancels it and all that it has not trained yet, at once or within two seconds', async () => {
    const id = await startSweep(platform, sweepInput({}, { epochs: 5_000 }));
    await until(async () => (await readSweep(platform, id)).runs.some(({ epoch }: any) => epoch > 0), 30_000);
    const askedAt = Date.now();
    const { cancelSweep } = await ask(platform, CANCEL, { id });
    expect(cancelSweep.status).toBe('CANCELLED');
    await until(async () => (await readSweep(platform, id)).runs.every(({ status }: any) => status === 'CANCELLED'), 10_000);
    expect(Date.now() - askedAt).toBeLessThan(2_500);
    const { errors } = await platform.graphql(CANCEL, { id });
    expect(errors?.[0]).toMatchObject({ message: 'the sweep is CANCELLED already', extensions: { code: 'CONFLICT' } });
    expect((await platform.graphql(CANCEL, { id: 'none' })).errors?.[0]?.extensions.code).toBe('NOT_FOUND');
  });

  it('is made good by the sweep worker where the API died between the sweep and its trials', async () => {
    const id = await startSweep(platform, sweepInput({}, { epochs: 5_000 }));
    const database = await connect(platform.env['DATABASE_URL']!);
    await database.query(`UPDATE "Sweep" SET status = 'CANCELLED', "finishedAt" = now() WHERE id = $1`, [id]);
    await until(async () => (await readSweep(platform, id)).runs.every(({ status }: any) => status === 'CANCELLED'), 10_000);
  });

  it('of each trial one by one ends the sweep too', async () => {
    const id = await startSweep(platform, sweepInput({}, { epochs: 5_000 }));
    for (const run of (await readSweep(platform, id)).runs)
      await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id: run.id });
    expect(await untilSweepOver(platform, id)).toMatchObject({ status: 'CANCELLED' });
  });
});
