import path from 'node:path';
import { parseArgs } from 'node:util';
import { connectApi, type ApiClient } from './client.js';
import { findDatasetFolder } from './dataset-folder.js';
import { showUntilOver } from './follow-run.js';
import { inForeground } from './foreground.js';
import { findDataset, readSamples, uploadDataset, type Dataset } from './operations/datasets.js';
import { findModel, provideModel, setAlias } from './operations/models.js';
import { predict } from './operations/predictions.js';
import { findUnfinishedRun, startTraining, type Run } from './operations/runs.js';
import { classTable, table } from './tables.js';
import { displayProgress, duration } from './training-progress.js';

/**
 * `npm run demo [-- --data DIR] [--exit]`: starts everything, and then does over HTTP, with a key, what a user would:
 * upload a data set, define a network, train it, release what was trained, predict with it.
 */
const EPOCHS = 3;
const PRESET = 'RESNET20';
const IMAGES = 10;
const TAG = 'demo';
const ALIAS = 'production';
const TRAINING = {
  epochs: EPOCHS,
  batchSize: 128,
  optimizer: { kind: 'SGD', learningRate: 0.2, momentum: 0.9, nesterov: true, weightDecay: 0.0005 },
  schedule: { kind: 'ONE_CYCLE' },
  seed: 0,
  tags: [TAG],
};

const { values: options } = readOptions();

function readOptions() {
  try {
    return parseArgs({ options: { data: { type: 'string' }, exit: { type: 'boolean', default: false } } });
  } catch (error) {
    process.stderr.write(`residual: ${(error as Error).message}\nusage: npm run demo -- [--data DIR] [--exit]\n`);
    process.exit(1);
  }
}

async function provideDataset(api: ApiClient): Promise<Dataset> {
  const found = await findDatasetFolder(options.data && path.resolve(options.data));
  const { name, classNames } = found;
  const latest = await findDataset(api, name);
  const isReady = latest?.status === 'READY';
  const dataset = isReady ? latest : await uploadDataset(api, { name, classNames }, found);
  const { height, width, channels } = shapeOf(dataset);
  say(
    `Data set ${nameOf(dataset)} ${isReady ? 'is there already' : 'uploaded and validated'}: ` +
      `${dataset.trainSize} images to train on, ${dataset.testSize} to test on, ` +
      `${channels}x${height}x${width}, ${dataset.classNames.length} classes.`,
  );
  return dataset;
}

const nameOf = ({ name, version }: Dataset) => `${name}@${version}`;

function shapeOf({ imageShape }: Dataset) {
  if (imageShape === null) throw new Error('the data set has no image shape although it is READY');
  return imageShape;
}

async function define(api: ApiClient, dataset: Dataset): Promise<string> {
  const name = `${dataset.name}-${PRESET.toLowerCase()}`;
  const { classNames } = dataset;
  const isNew = await provideModel(api, { name, preset: PRESET, inputShape: shapeOf(dataset), classNames });
  const model = await findModel(api, name);
  if (model === null) throw new Error(`there is no model ${name} although it was defined`);
  const { depth, parameters } = model.architecture;
  const what = `${PRESET}, ${depth} layers, ${parameters.toLocaleString('en')} parameters`;
  say(`Model ${name} ${isNew ? 'defined' : 'is there already'}: ${what}.`);
  return name;
}

async function train(api: ApiClient, model: string, dataset: Dataset): Promise<Run> {
  const input = { ...TRAINING, model, dataset: nameOf(dataset) };
  const unfinished = await findUnfinishedRun(api, model, TAG);
  if (unfinished !== null) say('Training: going on with the run that was interrupted.');
  const run = await follow(api, unfinished ?? (await start(api, input)));
  if (run.status !== 'SUCCEEDED' || run.evaluation === null)
    throw new Error(`the run ended ${run.status}${run.failure === null ? '' : `: ${run.failure}`}`);
  const rate = Math.round(imagesPerSecond(run)).toLocaleString('en');
  say(`Trained in ${duration(trainSeconds(run))} min by ${run.engine}, ${run.precision}, ${rate} images/s.\n`);
  say(`Evaluation on the test split: accuracy ${run.evaluation.accuracy.toFixed(4)}, loss ${run.evaluation.loss.toFixed(4)}.`);
  say(classTable(run.evaluation.perClass));
  return run;
}

async function start(api: ApiClient, input: Record<string, unknown>): Promise<string> {
  say(`Training: ${EPOCHS} epochs, one-cycle schedule, batches of ${TRAINING.batchSize}.`);
  return (await startTraining(api, input)).id;
}

async function follow(api: ApiClient, id: string): Promise<Run> {
  const display = displayProgress(EPOCHS, process.stdout);
  try {
    return await showUntilOver(api, id, display);
  } finally {
    display.close();
  }
}

/** @returns what to predict with: a reference that stays while versions come */
async function release(api: ApiClient, model: string, { version }: Run): Promise<string> {
  if (version === null) throw new Error('the run has no version although it succeeded');
  await setAlias(api, model, ALIAS, version.version);
  const reference = `${model}@${ALIAS}`;
  say(`Released: setAlias lets ${reference}, and with it the bare name, mean version ${version.version}.\n`);
  return reference;
}

async function showPredictions(api: ApiClient, model: string, dataset: Dataset): Promise<number> {
  const samples = await readSamples(api, dataset, IMAGES);
  const images = samples.map(({ png }) => png);
  const first = await predict(api, model, images);
  // The first request of all loads the model; from then on it is in memory.
  const { latencyMs, predictions } = await predict(api, model, images);
  const rows = samples.map(({ className }, i) => {
    const best = predictions[i]?.top[0];
    return [className, best?.className ?? '', best?.probability.toFixed(4) ?? ''];
  });
  const times = `${latencyMs.toFixed(1)} ms, the first time ${first.latencyMs.toFixed(1)} ms with the model to load`;
  say(`Predictions for ${samples.length} test images, in ${times}:`);
  say(table(['label', 'prediction', 'probability'], rows));
  return latencyMs;
}

const trainSeconds = ({ startedAt, finishedAt }: Run) =>
  (Date.parse(finishedAt ?? '') - Date.parse(startedAt ?? '')) / 1_000;

function imagesPerSecond({ history }: Run): number {
  return history.reduce((sum, epoch) => sum + epoch.imagesPerSecond, 0) / history.length;
}

function summaryOf(run: Run, predictMs: number) {
  return {
    accuracy: run.evaluation?.accuracy,
    trainSeconds: Number(trainSeconds(run).toFixed(1)),
    imagesPerSecond: Math.round(imagesPerSecond(run)),
    predictMs: Number(predictMs.toFixed(2)),
  };
}

function farewell(url: string, key: string, model: string): string {
  return [
    '',
    `Dashboard ${new URL('/', url).href}  (asks for the key)`,
    `Sandbox   ${url}  (header: authorization: Bearer ${key})`,
    `Metrics   ${new URL('/metrics', url).href}`,
    `Key       ${key}`,
    `Try       query { model(name: "${model}") { architecture { depth parameters flops } } }`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
}

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

await inForeground(async ({ url, key, logs }) => {
  say(`The API answers at ${url}; what its processes say is in ${logs}.\n`);
  const api = connectApi(url, key);
  const dataset = await provideDataset(api);
  const model = await define(api, dataset);
  const run = await train(api, model, dataset);
  const reference = await release(api, model, run);
  const predictMs = await showPredictions(api, reference, dataset);
  await api.close();
  if (!options.exit) say(farewell(url, key, model));
  else say(JSON.stringify(summaryOf(run, predictMs)));
  return options.exit ? 'exit' : 'stay';
});
