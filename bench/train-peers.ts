import { parseArgs } from 'node:util';
import { markdownTable, median, rounded, tell, type Row } from './figures.js';
import { runBench, type TrainingFigures } from './processes.js';
import { availableThreads } from './threads.js';
import { requireTorchPeer, runTorchPeer, type TorchFigures } from './torch-peer.js';

const ROUNDS = 3;

/** What is compared: each in both precisions. Floors and aims are ratios to the peer's images per second. */
const WORKS = [
  { model: 'resnet20', batchSize: 128, floor: 2.0, aim: 2.5 },
  { model: 'notebook', batchSize: 64, floor: 2.3, aim: 3.0 },
  { model: 'resnet18', batchSize: 32, floor: 1.4, aim: 2.0 },
  { model: 'resnet50', batchSize: 16, floor: 1.4, aim: 2.0 },
] as const;
/** In float32, against the peer's best float32. */
const FLOAT32 = { floor: 1.5, aim: 2.0 };
/** Of our process' peak memory to the peer's. */
const MEMORY = { model: 'resnet50', ceiling: 0.7, aim: 0.5 };
/** Of the worker's whole loop to bare steps. */
const LOOP = { model: 'resnet20', batchSize: 128, floor: 0.93, aim: 0.98, seconds: 20 };

type Work = (typeof WORKS)[number];

interface Round {
  readonly bfloat16: TrainingFigures;
  readonly float32: TrainingFigures;
  readonly peer: TorchFigures;
}

/**
 * `npm run bench -- train-peers [MODEL|loop …]`: PyTorch's training steps and ours in turn on this machine, with as
 * many threads, three rounds, and the ratios of the medians; the peak memory beside the peer's; and the worker's whole
 * loop beside bare steps.
 */
export async function benchTrainPeers(args: string[]): Promise<void> {
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options: { threads: { type: 'string' } } });
  requireTorchPeer();
  const threads = availableThreads(values.threads);
  const wanted = (name: string) => positionals.length === 0 || positionals.includes(name);
  const [rows, memory, loop]: [ReturnType<typeof compare>, Row[], Row[]] = [[], [], []];
  let pass = true;
  for (const work of WORKS.filter(({ model }) => wanted(model))) {
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await runRound(work, threads, round));
    rows.push(...compare(work, rounds));
    if (work.model === MEMORY.model) memory.push(...compareMemory(work, rounds));
  }
  if (wanted('loop')) loop.push(await compareLoop(threads));
  for (const table of [rows, memory, loop]) {
    if (table.length > 0) console.log(`${markdownTable(table)}\n`);
    pass &&= table.every((row) => row['pass']);
  }
  console.log(JSON.stringify({ rows, memory, loop, pass }));
}

async function runRound({ model, batchSize }: Work, threads: number, number: number): Promise<Round> {
  const peer = await runTorchPeer(model, batchSize, threads);
  const bfloat16 = await runOurs('train', model, batchSize, threads, 'bfloat16');
  const float32 = await runOurs('train', model, batchSize, threads, 'float32');
  tell(
    `${model}, round ${number + 1} of ${ROUNDS}, images/s: bfloat16 ${bfloat16.imagesPerSecond}, peer's best ` +
      `${peer.best} (${rounded(bfloat16.imagesPerSecond / peer.best)}); float32 ${float32.imagesPerSecond}, peer's ` +
      `${peer.float32} (${rounded(float32.imagesPerSecond / peer.float32)})`,
  );
  return { bfloat16, float32, peer };
}

function compare({ model, batchSize, floor, aim }: Work, rounds: readonly Round[]) {
  const row = (precision: 'bfloat16' | 'float32', bar: { floor: number; aim: number }) => {
    const ours = median(rounds.map((round) => round[precision].imagesPerSecond));
    const peer = median(rounds.map((round) => (precision === 'bfloat16' ? round.peer.best : round.peer.float32)));
    return {
      model,
      batchSize,
      precision: precision.toUpperCase(),
      imagesPerSecond: rounded(ours, 1),
      peerImagesPerSecond: rounded(peer, 1),
      ratio: rounded(ours / peer),
      ...bar,
      pass: ours / peer >= bar.floor,
      threads: rounds[0]!.bfloat16.threads,
      peerThreads: rounds[0]!.peer.threads,
    };
  };
  return [row('bfloat16', { floor, aim }), row('float32', FLOAT32)];
}

/** The peer's one process measures every precision and layout; ours one each, and both are held to it. */
function compareMemory({ model, batchSize }: Work, rounds: readonly Round[]): Row[] {
  const peer = median(rounds.map((round) => round.peer.peakBytes));
  return (['bfloat16', 'float32'] as const).map((precision) => {
    const ours = median(rounds.map((round) => round[precision].peakBytes));
    return {
      model,
      batchSize,
      precision: precision.toUpperCase(),
      peakBytes: ours,
      peerPeakBytes: peer,
      peakBytesRatio: rounded(ours / peer),
      ceiling: MEMORY.ceiling,
      aim: MEMORY.aim,
      pass: ours / peer <= MEMORY.ceiling,
    };
  });
}

async function compareLoop(threads: number): Promise<Row> {
  const { model, batchSize, floor, aim } = LOOP;
  const rounds = [];
  for (let number = 1; number <= ROUNDS; number++) {
    const steps = await runOurs('train', model, batchSize, threads, undefined, LOOP.seconds);
    const loop = await runOurs('loop', model, batchSize, threads, steps.precision, LOOP.seconds);
    rounds.push({ steps, loop });
    tell(
      `loop, round ${number} of ${ROUNDS}, images/s: loop ${loop.imagesPerSecond}, steps ${steps.imagesPerSecond} ` +
        `(${rounded(loop.imagesPerSecond / steps.imagesPerSecond, 3)})`,
    );
  }
  const loopImagesPerSecond = median(rounds.map(({ loop }) => loop.imagesPerSecond));
  const trainImagesPerSecond = median(rounds.map(({ steps }) => steps.imagesPerSecond));
  const ratio = loopImagesPerSecond / trainImagesPerSecond;
  return {
    model,
    batchSize,
    precision: rounds[0]!.loop.precision,
    loopImagesPerSecond,
    trainImagesPerSecond,
    ratio: rounded(ratio, 3),
    floor,
    aim,
    pass: ratio >= floor,
  };
}

function runOurs(
  bench: 'train' | 'loop',
  model: string,
  batchSize: number,
  threads: number,
  precision?: string,
  seconds?: number,
) {
  const options = Object.entries({ threads, precision, seconds }).filter(([, value]) => value !== undefined);
  const args = options.flatMap(([name, value]) => [`--${name}`, String(value)]);
  return runBench<TrainingFigures>(bench, model, String(batchSize), ...args);
}
