import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { summariseGraph } from '../src/domain/network/flops.js';
import type { Graph, TensorRole, TensorSpec } from '../src/domain/network/graph.js';
import { markdownTable, rounded, tell } from './figures.js';
import { benchModel } from './models.js';
import { run } from './processes.js';
import { availableThreads } from './threads.js';

const NATIVE = path.resolve(import.meta.dirname, '../../native');
const OBJECTS = path.join(NATIVE, 'build/Release/obj.target/residual/src');
/** As native/index.cjs has it for the addon: threads that wait do not spin for long. */
const ENVIRONMENT = { GOMP_SPINCOUNT: process.env['GOMP_SPINCOUNT'] ?? '1000' };
const WORKS = [
  { model: 'resnet20', batchSize: 128, steps: 25 },
  { model: 'notebook', batchSize: 64, steps: 9 },
  { model: 'resnet18', batchSize: 32, steps: 7 },
  { model: 'resnet50', batchSize: 16, steps: 7 },
] as const;
/** SGD reads weight, gradient and momentum and writes weight and momentum, in float32. */
const UPDATE_BYTES = 5 * 4;

/** FLOP/s of the best matrix product, and bytes per second read and written by a copy. */
interface Peaks {
  readonly isa: string;
  readonly oneDnn: string;
  readonly float32: number;
  /** 0 where the CPU has none. */
  readonly bfloat16: number;
  readonly copyBytesPerSecond: number;
}

/** Seconds of one training step's parts. */
interface Phases {
  readonly forward: number;
  readonly backward: number;
  readonly update: number;
}

/**
 * `npm run bench -- roofline [MODEL …]`: what this machine's cores and memory do at their best (oneDNN's product of
 * large matrices, a copy), and how near the phases of a training step come to it. Forward and backward count the
 * convolutions' and the classifier's FLOPs alone, twice as many backward: what else they do is part of the distance.
 */
export async function benchRoofline(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options: { threads: { type: 'string' } } });
  const threads = availableThreads(values.threads);
  const folder = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  try {
    const program = await buildProgram(folder);
    const peaks = JSON.parse(await run(program, [String(threads), 'peaks'], { env: ENVIRONMENT })) as Peaks;
    console.log(`${markdownTable([peakRow(peaks, threads)])}\n`);
    const rows = [];
    for (const work of WORKS.filter(({ model }) => positionals.length === 0 || positionals.includes(model)))
      for (const precision of ['bfloat16', 'float32'] as const)
        if (peaks[precision] > 0) {
          tell(`${work.model}, ${precision}`);
          rows.push(await measure(program, threads, peaks, work, precision));
        }
    console.log(markdownTable(rows));
    console.log(JSON.stringify({ threads, peaks, rows }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Of native/bench/roofline.cc and what the addon was built of. @throws Error where the addon is not built here. */
async function buildProgram(folder: string): Promise<string> {
  if (!existsSync(OBJECTS)) throw new Error("the addon's objects are not here: `npm run native` makes them");
  const files = await readdir(OBJECTS, { recursive: true });
  const objects = files.filter((name) => name.endsWith('.o') && name !== 'binding.o');
  const program = path.join(folder, 'roofline');
  const options = ['-std=c++17', '-O3', '-fopenmp', path.join(NATIVE, 'bench/roofline.cc')];
  await run('g++', [...options, ...objects.map((name) => path.join(OBJECTS, name)), '-ldnnl', '-o', program]);
  return program;
}

const peakRow = ({ float32, bfloat16, copyBytesPerSecond, isa, oneDnn }: Peaks, threads: number) => ({
  threads,
  isa,
  oneDnn,
  'float32 GFLOP/s': Math.round(float32 / 1e9),
  'bfloat16 GFLOP/s': Math.round(bfloat16 / 1e9),
  'copy GB/s': rounded(copyBytesPerSecond / 1e9, 1),
});

async function measure(
  program: string,
  threads: number,
  peaks: Peaks,
  { model, batchSize, steps }: (typeof WORKS)[number],
  precision: 'bfloat16' | 'float32',
) {
  const { graph } = benchModel(model);
  const args = [threads, 'phases', precision, batchSize, steps].map(String);
  const phases = JSON.parse(await run(program, args, { env: ENVIRONMENT, input: graphText(graph) })) as Phases;
  const { flops, parameters } = summariseGraph(graph);
  const forwardFlops = Number(flops) * batchSize;
  const seconds = phases.forward + phases.backward + phases.update;
  const percent = (share: number) => rounded(100 * share, 0);
  const ms = (value: number) => rounded(1000 * value, 1);
  return {
    model,
    batchSize,
    precision: precision.toUpperCase(),
    'GFLOP/s': Math.round((3 * forwardFlops) / seconds / 1e9),
    '% of peak': percent((3 * forwardFlops) / seconds / peaks[precision]),
    'forward ms': ms(phases.forward),
    'forward % of peak': percent(forwardFlops / phases.forward / peaks[precision]),
    'backward ms': ms(phases.backward),
    'backward % of peak': percent((2 * forwardFlops) / phases.backward / peaks[precision]),
    'update ms': ms(phases.update),
    'update % of copy': percent((UPDATE_BYTES * parameters) / phases.update / peaks.copyBytesPerSecond),
    'images/s at peak': rounded((peaks[precision] * batchSize) / (3 * forwardFlops), 1),
  };
}

/** In the order of the native `TensorRole`. */
const ROLES: readonly TensorRole[] = ['weight', 'bias', 'scale', 'shift', 'runningMean', 'runningVariance'];

/** As native/bench/roofline.cc reads it. */
function graphText({ inputShape, numClasses, output, nodes }: Graph): string {
  const lines = nodes.map((node) => {
    const { kernel = 1, stride = 1, padding = 0, groups = 1, addedChannels = 0, bias = false, ceilMode = false } = {
      ...(node as Partial<Record<'kernel' | 'stride' | 'padding' | 'groups' | 'addedChannels', number>>),
      ...(node as Partial<Record<'bias' | 'ceilMode', boolean>>),
    };
    const attributes = [kernel, stride, padding, groups, addedChannels, Number(bias), Number(ceilMode)];
    const words = ({ name, role, shape }: TensorSpec) => [name, ROLES.indexOf(role), shape.length, ...shape];
    const tensors = node.tensors.flatMap(words);
    const head = [node.name, node.kind, node.inputs.length, ...node.inputs, ...node.outputShape];
    return [...head, ...attributes, node.tensors.length, ...tensors].join(' ');
  });
  return [[...inputShape, numClasses, output, nodes.length].join(' '), ...lines].join('\n');
}
