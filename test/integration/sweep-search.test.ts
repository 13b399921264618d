import { readFile } from 'node:fs/promises';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { epochsOf, startSweep, untilSweepOver } from '../helpers/sweeps.js';
import { sendUpload } from '../helpers/send-upload.js';
import { ask, until } from '../helpers/training.js';

vi.setConfig({ testTimeout: 240_000 });

/** Fashion-MNIST cut short: a real task in which the learning rate decides. */
const IMAGES = { train: 1_200, t10k: 300 };
const CLASS_NAMES = ['T-shirt', 'Trouser', 'Pullover', 'Dress', 'Coat', 'Sandal', 'Shirt', 'Sneaker', 'Bag', 'Ankle boot'];
/** From 0.0005 to 3.2805. */
const RATES = Array.from({ length: 9 }, (_, index) => Number((0.0005 * 3 ** index).toPrecision(6)));
const EPOCHS = 9;

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets', 'sweeps'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadFashion(), defineSmall()]);
});
afterAll(() => platform.stop());

async function uploadFashion(): Promise<void> {
  const { createDataset } = await ask(
    platform,
    `mutation ($names: [String!]) { createDataset(input: { name: "fashion", format: IDX, classNames: $names }) {
      dataset { id } uploads { file url method headers }
    } }`,
    { names: CLASS_NAMES },
  );
  for (const target of createDataset.uploads) await sendUpload(target, await cut(target.file.replace(/\.gz$/, '')));
  await ask(platform, 'mutation ($id: ID!) { completeDataset(id: $id) { status } }', { id: createDataset.dataset.id });
  await until(async () => (await ask(platform, '{ dataset(name: "fashion") { status } }')).dataset.status === 'READY', 30_000);
}

/** The first records of an IDX file, whose second word says how many there are. */
async function cut(name: string): Promise<Uint8Array<ArrayBuffer>> {
  const whole = gunzipSync(await readFile(`/usr/share/datasets/fashion-mnist/${name}.gz`));
  const [count, header, size] = [IMAGES[name.startsWith('train') ? 'train' : 't10k'], ...(name.includes('images') ? [16, 784] : [8, 1])];
  const part = new Uint8Array(whole.subarray(0, header! + count * size!));
  new DataView(part.buffer).setUint32(4, count);
  return part;
}

async function defineSmall(): Promise<void> {
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: {
      name: 'small',
      architecture: {
        block: 'BASIC', stem: { kind: 'CONV3X3', width: 8 },
        stages: [{ blocks: 1, width: 8, stride: 2 }, { blocks: 1, width: 16, stride: 2 }],
      },
      inputShape: { height: 28, width: 28, channels: 1 },
      classNames: CLASS_NAMES,
    },
  }); // prettier-ignore
}

/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of queries */
async function search(algorithm: string): Promise<{ rate: number; epochs: number; sweep: any }> {
  const id = await startSweep(platform, {
    name: `rates by ${algorithm}`,
    algorithm,
    trials: RATES.length,
    // An average over all steps of an epoch: smooth, so that another CPU's rounding does not decide who is better.
    metric: 'TRAIN_LOSS',
    parameters: [{ path: 'optimizer.learningRate', values: RATES }],
    base: { model: 'small', dataset: 'fashion', epochs: EPOCHS, batchSize: 16, precision: 'FLOAT32' },
  });
  const sweep = await untilSweepOver(platform, id, 200_000);
  expect(sweep.status).toBe('SUCCEEDED');
  return { rate: sweep.runs[sweep.best.trial - 1].config.optimizer.learningRate, epochs: epochsOf(sweep), sweep };
}

it("ASHA finds a learning rate within a factor of 3 of the grid's best for at most 40 % of the grid's epochs", async () => {
  const grid = await search('GRID');
  expect(grid.epochs).toBe(RATES.length * EPOCHS);
  const asha = await search('ASHA');
  expect(asha.epochs).toBeLessThanOrEqual(0.4 * grid.epochs);
  expect(Math.abs(Math.log(asha.rate / grid.rate)), `${asha.rate} of ${grid.rate}`).toBeLessThanOrEqual(Math.log(3.001));
  // Both ends of the grid are far worse, so that the factor says something.
  const [first, ...others] = grid.sweep.runs.map((run: any) => run.history.at(-1).trainLoss);
  expect(Math.min(first, others.at(-1))).toBeGreaterThan(2 * Math.min(...others));
});
