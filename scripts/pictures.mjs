/**
 * `npm run pictures`: the README's pictures, docs/pictures/run.png and predict.png, of a platform of its own that
 * trains a RESNET20 on Fashion-MNIST. Takes a few minutes.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import { connectApi } from '../dist/src/cli/client.js';
import { findDatasetFolder } from '../dist/src/cli/dataset-folder.js';
import { uploadDataset } from '../dist/src/cli/operations/datasets.js';
import { provideModel } from '../dist/src/cli/operations/models.js';
import { startTraining, watchRun } from '../dist/src/cli/operations/runs.js';
import { readStartConfig } from '../dist/src/config.js';
import { startPlatform } from '../dist/src/local/platform.js';

const FOLDER = path.resolve(import.meta.dirname, '../docs/pictures');
const EPOCHS = 10;
/** The run is shown while it trains, with this many epochs of curves. */
const SHOWN_EPOCHS = 8;
const MODEL = 'fashion-mnist-resnet20';

const say = (text) => process.stderr.write(`${text}\n`);
const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-pictures-'));
const platform = await startPlatform(readStartConfig({ ...process.env, RESIDUAL_DATA_DIR: dataDir, PORT: '0' }), say);
const api = connectApi(platform.url, platform.key);
try {
  await mkdir(FOLDER, { recursive: true });
  const folder = await findDatasetFolder();
  const dataset = await uploadDataset(api, folder, folder);
  const { imageShape: inputShape, classNames } = dataset;
  await provideModel(api, { name: MODEL, preset: 'RESNET20', inputShape, classNames });
  await takePictures(await open(), dataset);
} finally {
  await api.close();
  await platform.stop();
  await rm(dataDir, { recursive: true, force: true });
}

async function takePictures({ browser, page }, dataset) {
  try {
    const run = await startTraining(api, {
      model: MODEL,
      dataset: dataset.name,
      epochs: EPOCHS,
      optimizer: { learningRate: 0.1 },
      augmentation: { cropPadding: 2, horizontalFlip: true },
    });
    await page.goto(new URL(`/runs/${run}`, platform.url).href);
    let shown = false;
    for await (const { epoch, status } of watchRun(api, run)) {
      if (status === 'FAILED') throw new Error('the run failed');
      // `epoch` is the one under way.
      if (!shown && epoch > SHOWN_EPOCHS) {
        await page.waitForTimeout(2_000);
        await page.screenshot({ path: path.join(FOLDER, 'run.png') });
        shown = true;
      }
    }
    await page.goto(new URL(`/predict?model=${MODEL}`, platform.url).href);
    await page.getByRole('button', { name: 'Predict all ten' }).click();
    await page.getByText(/of 10 right/).waitFor();
    await page.screenshot({ path: path.join(FOLDER, 'predict.png') });
  } finally {
    await browser.close();
  }
}

async function open() {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });
  const context = await browser.newContext({ viewport: { width: 1280, height: 1040 }, colorScheme: 'light' });
  await context.addInitScript(`sessionStorage.setItem('residual-key', ${JSON.stringify(platform.key)})`);
  return { browser, page: await context.newPage() };
}
