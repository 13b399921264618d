import { parseArgs } from 'node:util';
import { initialTensors } from '../src/domain/network/initialise.js';
import { buildGraph } from '../src/domain/network/layers.js';
import { normaliseNetwork } from '../src/domain/network/normalise.js';
import { normalisePlan } from '../src/domain/plan.js';
import type { ComputePrecision, Engine } from '../src/training/engine.js';
import { createOneDnnEngine } from '../src/training/engines/onednn.js';
import { train } from '../src/training/train.js';
import { markdownTable, mean, rounded, tell } from './figures.js';
import { fashionMnist, openLocally, type LocalDataset } from './local-dataset.js';
import { availableThreads } from './threads.js';

const SEEDS = [0, 1, 2];
const EPOCHS = 3;
/** Points of test accuracy by which bfloat16's mean may be below float32's. */
const LIMIT = 0.3;

/**
 * `npm run bench -- precision`: what training in bfloat16 costs of accuracy. Fashion-MNIST (Debian's package
 * dataset-fashion-mnist), RESNET20, 3 epochs of the demo's one-cycle with crop and flip, three seeds.
 */
export async function benchPrecision(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { threads: { type: 'string' } } });
  const threads = availableThreads(values.threads);
  const engine = createOneDnnEngine({ threads });
  if (!engine.precisions.includes('BFLOAT16')) throw new Error(`this CPU has no bfloat16 (${engine.device})`);
  const dataset = await openLocally(await fashionMnist());
  const runs = [];
  try {
    for (const seed of SEEDS)
      for (const precision of ['BFLOAT16', 'FLOAT32'] as const) {
        const run = { seed, precision, ...(await accuracyOf(engine, precision, seed, dataset)) };
        tell(`seed ${seed}, ${precision}: test accuracy ${run.accuracy.toFixed(2)} %, ${run.seconds} s`);
        runs.push(run);
      }
  } finally {
    await dataset.close();
  }
  report(runs, { threads, device: engine.device });
}

type Run = Readonly<{ seed: number; precision: ComputePrecision; accuracy: number; seconds: number }>;

async function accuracyOf(engine: Engine, precision: ComputePrecision, seed: number, dataset: LocalDataset) {
  const { data, normalisation, classNames } = dataset;
  const numClasses = classNames.length;
  const definition = normaliseNetwork({ preset: 'RESNET20', inputShape: data.shape, numClasses });
  const graph = buildGraph(definition);
  const plan = normalisePlan({
    epochs: EPOCHS,
    schedule: { kind: 'ONE_CYCLE' },
    augmentation: { cropPadding: 4, horizontalFlip: true },
    seed,
  });
  const started = performance.now();
  const initial = initialTensors(graph, definition, seed);
  const result = await train(
    { plan, graph, classNames, initial, data, normalisation, engine, precision },
    {
      onStep: () => undefined,
      onEpoch: async ({ epoch, validationAccuracy, imagesPerSecond }) =>
        tell(`  epoch ${epoch}: ${(100 * validationAccuracy).toFixed(2)} %, ${Math.round(imagesPerSecond)} images/s`),
      onCheckpoint: async () => undefined,
    },
    { stop: new AbortController().signal },
  );
  if (result.outcome !== 'finished') throw new Error(`the training was ${result.outcome}`);
  return { accuracy: 100 * result.evaluation.accuracy, seconds: Math.round((performance.now() - started) / 1000) };
}

function report(runs: readonly Run[], machine: { threads: number; device: string }): void {
  const accuracies = (precision: ComputePrecision) =>
    runs.filter((run) => run.precision === precision).map(({ accuracy }) => accuracy);
  const rows = (['BFLOAT16', 'FLOAT32'] as const).map((precision) => ({
    precision,
    ...Object.fromEntries(accuracies(precision).map((value, index) => [`seed ${SEEDS[index]}`, rounded(value)])),
    mean: rounded(mean(accuracies(precision))),
  }));
  console.log(markdownTable(rows));
  const [bfloat16, float32] = rows.map((row) => row.mean) as [number, number];
  const difference = rounded(bfloat16 - float32);
  const pass = difference >= -LIMIT;
  console.log(JSON.stringify({ ...machine, epochs: EPOCHS, bfloat16, float32, difference, limit: -LIMIT, pass }));
}
