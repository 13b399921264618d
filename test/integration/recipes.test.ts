import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { CLASS_NAMES, SIDE } from '../helpers/shapes-data.js';
import { ask, defineTiny, glanceAtRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { weightsOf } from '../helpers/whole-run.js';

/** The recipes of docs/training.md through the API and a worker; what each computes is proved in test/unit and test/golden. */

let platform: TestPlatform;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

/* eslint-disable @typescript-eslint/no-explicit-any -- the answer of a query */
const messages = (run: any) => run.logs.nodes.map(({ message }: any) => message).join('\n');
const order = (field: string) => `mutation ($id: ID!) { ${field}(id: $id) { status } }`;

/** 203 - 41 images in batches of 16. */
const STEPS_PER_EPOCH = 11;
const EVERYTHING = {
  epochs: 8,
  optimizer: { learningRate: 0.05, clipNorm: 1 },
  augmentation: { cropPadding: 1, horizontalFlip: true, randomErasing: 0.3, mixup: 0.2, cutmix: 1 },
  labelSmoothing: 0.1,
  emaDecay: 0.95,
  earlyStopping: { metric: 'VALIDATION_ACCURACY', patience: 8 },
  validationFraction: 0.2,
  checkpointEverySteps: 20,
};

describe('a run with everything that recipes have', () => {
  it('paused and resumed ends with the weights and the history of the run left alone', async () => {
    const alone = await untilOver(platform, await startTiny(platform, EVERYTHING));
    expect(alone).toMatchObject({ status: 'SUCCEEDED', totalSteps: 8 * STEPS_PER_EPOCH, epoch: 8, progress: 1 });
    expect(alone.evaluation.perClass.reduce((sum: number, { support }: any) => sum + support, 0)).toBe(50);
    const id = await startTiny(platform, EVERYTHING);
    await until(async () => (await glanceAtRun(platform, id)).step > 0, 30_000);
    await ask(platform, order('pauseTraining'), { id });
    await until(async () => (await glanceAtRun(platform, id)).status === 'PAUSED', 30_000);
    await ask(platform, order('resumeTraining'), { id });
    const run = await untilOver(platform, id);
    expect(run.attempts).toBe(2);
    expect(weightsOf(run)).toBe(weightsOf(alone));
    expect(run.evaluation).toEqual(alone.evaluation);
    const numbers = ({ history }: any) => history.map(({ imagesPerSecond, seconds, ...epoch }: any) => {
      expect(imagesPerSecond * seconds).toBeGreaterThan(0);
      return epoch;
    }); // prettier-ignore
    expect(numbers(run)).toEqual(numbers(alone));
  });

  it('shows all of it in its config', async () => {
    const id = await startTiny(platform, { ...EVERYTHING, epochs: 1 });
    const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { config } }', { id });
    expect(run.config).toMatchObject({
      ...EVERYTHING,
      epochs: 1,
      augmentation: { ...EVERYTHING.augmentation, randomResizedCrop: false },
      earlyStopping: { ...EVERYTHING.earlyStopping, minDelta: 0 },
    });
    await untilOver(platform, id);
  });
});

it('a run that stops early succeeds, is complete, and says why', async () => {
  const run = await untilOver(
    platform,
    await startTiny(platform, {
      epochs: 50,
      optimizer: { learningRate: 1e-6 },
      earlyStopping: { metric: 'TRAIN_LOSS', patience: 2, minDelta: 0.5 },
    }),
  );
  expect(run).toMatchObject({ status: 'SUCCEEDED', progress: 1, step: 3 * 13, totalSteps: 50 * 13, etaSeconds: null });
  expect(run.history.map(({ epoch }: any) => epoch)).toEqual([1, 2, 3]);
  expect(messages(run)).toMatch(/stopped early: TRAIN_LOSS did not improve on epoch 1's \d\.\d{4} by more than 0.5 until epoch 3 of 50/);
});

it.each([
  ['a batch larger than what is left to train', { batchSize: 163, validationFraction: 0.2 }, 'input.batchSize', '162 training images'],
  ['two ways to crop', { augmentation: { cropPadding: 1, randomResizedCrop: true } }, 'input.augmentation.randomResizedCrop', 'give one'],
  ['a norm of 0', { optimizer: { clipNorm: 0 } }, 'input.optimizer.clipNorm', 'above 0'],
  ['averages that never move', { emaDecay: 1 }, 'input.emaDecay', 'less than 1'],
  ['no patience', { earlyStopping: { patience: 0 } }, 'input.earlyStopping.patience', 'from 1'],
] as const)('%s is refused by its field', async (_, more, field, words) => {
  const input = { model: 'tiny', dataset: 'shapes', ...more };
  const mutation = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
  const { errors } = await platform.graphql(mutation, { input });
  expect(errors?.[0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT', field } });
  expect(errors![0]!.message).toContain(words);
});

it('a batch of one image is refused where a batch norm would have one value of it, also the last of an epoch', async () => {
  const mutation = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: {
      name: 'deep',
      architecture: {
        block: 'BASIC', stem: { kind: 'CONV3X3', width: 4 },
        stages: [1, 2, 2, 2].map((stride) => ({ blocks: 1, width: 4, stride })),
      },
      inputShape: { height: SIDE, width: SIDE, channels: 1 },
      classNames: CLASS_NAMES,
    },
  }); // prettier-ignore
  const said = async (model: string, batchSize: number) => {
    const { data, errors } = await platform.graphql(mutation, { input: { model, dataset: 'shapes', batchSize } });
    if (errors) return [errors[0]!.extensions.field, errors[0]!.message];
    return ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id: data.startTraining.id }).then(() => 'accepted');
  };
  const rest = "makes %s one image, and deep's layer4.0.bn1 normalises over 1x1: it needs at least two values";
  expect(await said('deep', 1)).toEqual(['input.batchSize', expect.stringContaining(rest.replace('%s', 'a batch'))]);
  const last = 'the last batch of an epoch (203 images by 2)';
  expect(await said('deep', 2)).toEqual(['input.batchSize', expect.stringContaining(rest.replace('%s', last))]);
  expect([await said('deep', 3), await said('tiny', 1)]).toEqual(['accepted', 'accepted']);
});
