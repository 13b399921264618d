import { parseArgs } from 'node:util';
import { initialTensors } from '../src/domain/network/initialise.js';
import { buildGraph } from '../src/domain/network/layers.js';
import { normaliseNetwork } from '../src/domain/network/normalise.js';
import { normalisePlan } from '../src/domain/plan.js';
import { encodeOnnx } from '../src/formats/onnx.js';
import { evaluateOnnx } from '../src/quantization/evaluate-onnx.js';
import { quantizeNetwork } from '../src/quantization/quantize-network.js';
import { Session } from '../src/serving/session.js';
import { createOneDnnEngine } from '../src/training/engines/onednn.js';
import { train } from '../src/training/train.js';
import { markdownTable, median, rounded, tell, type Row } from './figures.js';
import { fashionMnist, openLocally, randomRecords, type LocalDataset } from './local-dataset.js';
import { benchModel } from './models.js';
import { availableThreads } from './threads.js';

const ROUNDS = 3;
/** What is compared; `floor`: of int8's images per second to float32's. */
const WORKS = [
  { model: 'resnet50', batchSize: 1, floor: 1.8 },
  { model: 'resnet50', batchSize: 32, floor: 1.8 },
  { model: 'resnet20', batchSize: 1, floor: null },
  { model: 'resnet20', batchSize: 32, floor: null },
] as const;
/** Points of test accuracy that eight bits may cost. */
const LIMIT = 0.5;
const EPOCHS = 3;

type Work = (typeof WORKS)[number];

/**
 * `npm run bench -- int8 [MODEL|accuracy …] [--seconds 5]`: a network in float32 and in eight bits, as they are served,
 * in turn, three rounds; and what eight bits cost RESNET20 of its accuracy on Fashion-MNIST (Debian's package
 * dataset-fashion-mnist), trained for 3 epochs of the demo's one-cycle.
 */
export async function benchInt8(args: string[]): Promise<void> {
  const options = { threads: { type: 'string' }, seconds: { type: 'string', default: '5' } } as const;
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options });
  const threads = availableThreads(values.threads);
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new Error(`--seconds is a number above 0, not ${values.seconds}`);
  const known = ['accuracy', ...WORKS.map(({ model }) => model)];
  for (const name of positionals)
    if (!known.includes(name)) throw new Error(`measured are ${[...new Set(known)].join(', ')}, not ${name}`);
  const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);

  const rows: Row[] = [];
  for (const model of new Set(WORKS.map(({ model }) => model)))
    if (wanted(model)) rows.push(...(await compareSpeed(model, threads, seconds)));
  const accuracy = wanted('accuracy') ? [await compareAccuracy(threads)] : [];
  for (const table of [rows, accuracy]) if (table.length > 0) console.log(`${markdownTable(table)}\n`);
  const pass = [...rows, ...accuracy].every((row) => row['pass'] !== false);
  console.log(JSON.stringify({ threads, rows, accuracy, pass }));
}

const opener = (threads: number) => (onnx: Uint8Array, output: string) => Session.open(onnx, { threads, output });
const never = new AbortController().signal;

/** Random weights, calibrated by noise: the kernels take as long as with any others. */
async function compareSpeed(model: string, threads: number, seconds: number): Promise<Row[]> {
  const { definition, graph } = benchModel(model);
  const tensors = initialTensors(graph, definition, 0);
  const dataset = await openLocally(randomRecords(definition.inputShape, graph.numClasses, 64, 8));
  const metadata = { classNames: dataset.classNames, ...dataset.normalisation };
  const open = opener(threads);
  const { onnx } = await quantizeNetwork(open, { graph, tensors }, metadata, dataset.data, never);
  await dataset.close();
  const float32 = await open(encodeOnnx(graph, tensors, metadata), 'probabilities');
  const int8 = await open(onnx, 'probabilities');
  const rows: Row[] = [];
  for (const work of WORKS.filter((each) => each.model === model)) {
    const rounds = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const speeds = {
        float32: await imagesPerSecond(float32, work, graph.inputShape, seconds),
        int8: await imagesPerSecond(int8, work, graph.inputShape, seconds),
      };
      tell(`${model}, batch ${work.batchSize}, round ${round} of ${ROUNDS}: ${JSON.stringify(speeds)} images/s`);
      rounds.push(speeds);
    }
    rows.push(speedRow(work, rounds));
  }
  await Promise.all([float32.release(), int8.release()]);
  return rows;
}

async function imagesPerSecond(session: Session, { batchSize }: Work, shape: readonly number[], seconds: number) {
  const image = shape.reduce((product, size) => product * size, 1);
  const noise = Float32Array.from({ length: batchSize * image }, (_, index) => (index % 17) / 4 - 2);
  const batch = () => noise.slice();
  await session.run(batch(), batchSize);
  let [images, milliseconds] = [0, 0];
  while (milliseconds < seconds * 1_000) {
    // Not a part of what is measured: a session takes its images away.
    const next = batch();
    const started = performance.now();
    await session.run(next, batchSize);
    milliseconds += performance.now() - started;
    images += batchSize;
  }
  return rounded((1_000 * images) / milliseconds, 1);
}

function speedRow({ model, batchSize, floor }: Work, rounds: readonly { float32: number; int8: number }[]): Row {
  const float32 = median(rounds.map((round) => round.float32));
  const int8 = median(rounds.map((round) => round.int8));
  const ratio = rounded(int8 / float32);
  return { model, batchSize, float32, int8, ratio, floor, pass: floor === null ? null : ratio >= floor };
}

async function compareAccuracy(threads: number): Promise<Row> {
  const dataset = await openLocally(await fashionMnist());
  try {
    const { classNames, normalisation, data } = dataset;
    const network = await trainBriefly(dataset, threads);
    const metadata = { classNames, ...normalisation };
    const open = opener(threads);
    const onnx = encodeOnnx(network.graph, network.tensors, metadata);
    const float32 = 100 * (await evaluateOnnx(open, onnx, data, metadata, never)).accuracy;
    const { evaluation } = await quantizeNetwork(open, network, metadata, data, never);
    const int8 = 100 * evaluation.accuracy;
    const drop = rounded(float32 - int8);
    const row = { model: 'resnet20', float32: rounded(float32), int8: rounded(int8), drop };
    return { ...row, limit: LIMIT, pass: drop <= LIMIT };
  } finally {
    await dataset.close();
  }
}

async function trainBriefly({ data, classNames, normalisation }: LocalDataset, threads: number) {
  const definition = normaliseNetwork({ preset: 'RESNET20', inputShape: data.shape, numClasses: classNames.length });
  const graph = buildGraph(definition);
  const engine = createOneDnnEngine({ threads });
  const plan = normalisePlan({
    epochs: EPOCHS,
    schedule: { kind: 'ONE_CYCLE' },
    augmentation: { cropPadding: 4, horizontalFlip: true },
  });
  const precision = engine.precisions.includes('BFLOAT16') ? 'BFLOAT16' : 'FLOAT32';
  const initial = initialTensors(graph, definition, plan.seed);
  const result = await train(
    { plan, graph, classNames, initial, data, normalisation, engine, precision },
    {
      onStep: () => undefined,
      onEpoch: async ({ epoch, validationAccuracy }) =>
        tell(`  epoch ${epoch} of ${EPOCHS}: ${(100 * validationAccuracy).toFixed(2)} %`),
      onCheckpoint: async () => undefined,
    },
    { stop: never },
  );
  if (result.outcome !== 'finished') throw new Error(`the training was ${result.outcome}`);
  return { graph, tensors: result.tensors };
}
