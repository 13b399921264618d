import { performance } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { initialTensors } from '../src/domain/network/initialise.js';
import { normalisePlan } from '../src/domain/plan.js';
import { CounterRandom, STREAM } from '../src/domain/seed.js';
import type { Graph } from '../src/domain/network/graph.js';
import type { Batch, ComputePrecision, TrainingSession } from '../src/training/engine.js';
import { createOneDnnEngine } from '../src/training/engines/onednn.js';
import { median, peakBytes, rounded } from './figures.js';
import { benchModel } from './models.js';
import { availableThreads } from './threads.js';

const WARM_UP_STEPS = 2;
const MIN_STEPS = 7;

/**
 * `npm run bench -- train MODEL BATCH [--precision float32|bfloat16] [--seconds 3] [--threads 2]`: training steps on
 * random data in memory, through a worker's engine.
 */
export async function benchTrain(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({
    args,
    allowPositionals: true,
    options: { precision: { type: 'string' }, threads: { type: 'string' }, seconds: { type: 'string', default: '3' } },
  });
  const [model, batchSize = '128'] = positionals;
  const { definition, graph } = benchModel(model);
  const threads = availableThreads(values.threads);
  const engine = createOneDnnEngine({ threads });
  const precision = (values.precision?.toUpperCase() as ComputePrecision | undefined) ?? engine.precisions[0]!;
  const optimizer = normalisePlan({ optimizer: { kind: 'SGD', learningRate: 0.01 } }).optimizer;
  const session = await engine.open(graph, initialTensors(graph, definition, 0), {
    batchSize: Number(batchSize),
    precision,
    optimizer,
    labelSmoothing: 0,
    seed: 0,
  });
  const seconds = await timeSteps(session, randomBatch(graph, Number(batchSize)), Number(values.seconds));
  await session.close();
  report({ model: model!, batchSize: Number(batchSize), precision, threads, device: engine.device, seconds });
}

/** For so long, and at least MIN_STEPS steps. @returns the seconds of each, ascending */
async function timeSteps(session: TrainingSession, batch: Batch, leastSeconds: number): Promise<number[]> {
  for (let step = 0; step < WARM_UP_STEPS; step++) await session.step(batch, 0.01);
  const seconds: number[] = [];
  const start = performance.now();
  while (seconds.length < MIN_STEPS || performance.now() - start < leastSeconds * 1000) {
    const before = performance.now();
    await session.step(batch, 0.01);
    seconds.push((performance.now() - before) / 1000);
  }
  return seconds.sort((a, b) => a - b);
}

function randomBatch({ inputShape, numClasses }: Graph, size: number): Batch {
  const random = new CounterRandom(0, STREAM.sample, 0);
  // Not by `Float32Array.from`, whose list of numbers on the way would count as the engine's memory.
  const images = new Float32Array(inputShape.reduce((product, side) => product * side, size));
  for (let i = 0; i < images.length; i++) images[i] = random.normal();
  return {
    size,
    images,
    labels: Int32Array.from({ length: size }, () => random.integer(numClasses)),
  };
}

interface Timing {
  readonly model: string;
  readonly batchSize: number;
  readonly precision: string;
  readonly threads: number;
  readonly device: string;
  /** Of each step, ascending. */
  readonly seconds: readonly number[];
}

function report({ seconds, device, ...settings }: Timing): void {
  const middle = median(seconds);
  const imagesPerSecond = rounded(settings.batchSize / middle, 1);
  console.table({
    'ms per step, least': (seconds[0]! * 1000).toFixed(1),
    'ms per step, median': (middle * 1000).toFixed(1),
    'ms per step, most': (seconds.at(-1)! * 1000).toFixed(1),
    steps: seconds.length,
    device,
  });
  console.log(JSON.stringify({ ...settings, device, imagesPerSecond, peakBytes: peakBytes() }));
}
