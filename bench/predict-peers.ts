import { parseArgs } from 'node:util';
import { markdownTable, median, rounded, tell, type Row } from './figures.js';
import { checkAnswers, load, type Load, type LoadFigures, type Predictions } from './load.js';
import { benchModel } from './models.js';
import { formatFor, imagesOfRequests, warmUp, wholeNumber } from './predict.js';
import { runBench } from './processes.js';
import { startRoundRobin } from './round-robin.js';
import type { RuntimeFigures } from './runtime.js';
import { startServing, TOP_K, type Serving } from './serving.js';
import { availableThreads } from './threads.js';
import { requireTorchPeer, startTorchServer, type TorchServer } from './torch-peer.js';

const ROUNDS = 3;
const TORCH = 'FastAPI + PyTorch';

/** What is compared, each as a ratio of ours to the peer's: at least `floor`, or at most `ceiling`. */
const WORKS = [
  { model: 'resnet20', concurrency: 64, images: 1, peer: TORCH, measure: 'requestsPerSecond', floor: 3.0 },
  { model: 'resnet20', concurrency: 1, images: 1, peer: TORCH, measure: 'p50Ms', ceiling: 0.7 },
  { model: 'resnet20', concurrency: 1, images: 64, peer: 'onnxruntime', measure: 'imagesPerSecond', floor: 0.6 },
  { model: 'resnet50', concurrency: 16, images: 1, peer: TORCH, measure: 'requestsPerSecond', floor: 1.7 },
  { model: 'resnet50', concurrency: 16, images: 1, peer: 'onnxruntime', measure: 'imagesPerSecond', floor: 0.85 },
] as const satisfies readonly Work[];
/** Two API processes of half the threads behind one port, to one of all. */
const PROCESSES: Work = {
  model: 'resnet20',
  concurrency: 64,
  images: 1,
  peer: 'one API process',
  measure: 'requestsPerSecond',
  floor: 1.0,
};
/** Of a model's first prediction, from the request to the answer. */
const FIRST = { model: 'resnet50', ceilingSeconds: 1.5 };
const BARE_BATCH = 32;

interface Work {
  readonly model: string;
  readonly concurrency: number;
  /** In each request. */
  readonly images: number;
  readonly peer: typeof TORCH | 'onnxruntime' | 'one API process';
  readonly measure: 'requestsPerSecond' | 'imagesPerSecond' | 'p50Ms';
  readonly floor?: number;
  readonly ceiling?: number;
}

interface Settings {
  readonly threads: number;
  readonly seconds: number;
}

interface Round {
  readonly ours: number;
  readonly peers: number;
  readonly failures: number;
}

/**
 * `npm run bench -- predict-peers [resnet20|resnet50|first|processes …] [--seconds 10] [--threads 2]`: predictions of
 * the API beside those of a server that FastAPI and PyTorch make (shared/peers/torch_serve.py) and beside onnxruntime
 * alone, in turn on this machine, with as many threads and the same images, three rounds, and the ratios of the
 * medians; how long the first prediction of a model takes; and two API processes beside one.
 */
export async function benchPredictPeers(args: string[]): Promise<void> {
  const options = { threads: { type: 'string' }, seconds: { type: 'string', default: '10' } } as const;
  const { positionals, values } = parseArgs({ args, allowPositionals: true, options });
  const settings = {
    threads: availableThreads(values.threads),
    seconds: wholeNumber('--seconds', values.seconds),
  };
  const parts: Record<string, () => Promise<Row[]>> = {
    resnet20: () => compareModel('resnet20', settings),
    resnet50: () => compareModel('resnet50', settings),
    first: async () => [await timeFirst(settings)],
    processes: async () => [await compareProcesses(settings)],
  };
  for (const name of positionals)
    if (!(name in parts)) throw new Error(`measured are ${Object.keys(parts).join(', ')}, not ${name}`);
  const rows: Row[] = [];
  for (const [name, measure] of Object.entries(parts))
    if (positionals.length === 0 || positionals.includes(name)) rows.push(...(await measure()));
  console.log(`${markdownTable(rows)}\n`);
  console.log(JSON.stringify({ ...settings, rows, pass: rows.every((row) => row['pass']) }));
}

/** Ours and the peers' servers stay while they are not asked: they do nothing then. */
async function compareModel(model: string, settings: Settings): Promise<Row[]> {
  requireTorchPeer();
  const serving = await startServing();
  const torch = await startTorchServer(model, settings.threads);
  try {
    if (torch.threads !== settings.threads) throw new Error(`PyTorch computes with ${torch.threads} threads`);
    const { url } = await serving.startApi({ SERVING_THREADS: settings.threads });
    const reference = await serving.publish(model);
    const rows: Row[] = [];
    for (const work of WORKS.filter((each) => each.model === model))
      rows.push(await compare(work, settings, await sidesOf(work, settings, { serving, url, reference, torch })));
    return rows;
  } finally {
    await torch.stop();
    await serving.stop();
  }
}

/** Measures one side for once. */
type Side = () => Promise<Pick<LoadFigures, 'failures'> & Record<Work['measure'], number>>;

async function sidesOf(
  { model, concurrency, images, peer }: Work,
  { threads, seconds }: Settings,
  { serving, url, reference, torch }: { serving: Serving; url: string; reference: string; torch: TorchServer },
): Promise<{ ours: Side; peers: Side }> {
  const requests = await imagesOfRequests(formatFor(benchModel(model).definition.inputShape), images);
  const asked = async (predictions: Predictions) => {
    await warmUp({ ...predictions, connections: concurrency });
    return askedBy({ ...predictions, connections: concurrency, seconds }, images);
  };
  const ours = await asked(serving.predictions(url, reference, requests));
  if (peer !== 'onnxruntime') return { ours, peers: await asked(torch.predictions(requests, TOP_K)) };
  const options = ['--seconds', String(seconds), '--threads', String(threads)];
  const peers: Side = async () => {
    const { imagesPerSecond } = await runBench<RuntimeFigures>('runtime', model, String(BARE_BATCH), ...options);
    return { imagesPerSecond, requestsPerSecond: imagesPerSecond / BARE_BATCH, p50Ms: NaN, failures: 0 };
  };
  return { ours, peers };
}

const askedBy =
  (what: Load, images: number): Side =>
  async () => {
    const figures = await load(what);
    return { ...figures, imagesPerSecond: figures.requestsPerSecond * images };
  };

async function compare(work: Work, settings: Settings, sides: { ours: Side; peers: Side }): Promise<Row> {
  const { model, concurrency, images, peer, measure } = work;
  const rounds: Round[] = [];
  for (let number = 1; number <= ROUNDS; number++) {
    const [ours, peers] = [await sides.ours(), await sides.peers()];
    rounds.push({ ours: ours[measure], peers: peers[measure], failures: ours.failures + peers.failures });
    tell(
      `${model}, concurrency ${concurrency}, images in a request ${images}, round ${number} of ${ROUNDS}, ${measure}: ` +
        `ours ${rounded(ours[measure])}, ${peer} ${rounded(peers[measure])} (${rounded(ours[measure] / peers[measure])})`,
    );
  }
  return rowOf(work, settings, rounds);
}

function rowOf(work: Work, { threads }: Settings, rounds: readonly Round[]): Row {
  const { model, concurrency, images, peer, measure, floor = null, ceiling = null } = work;
  const ours = median(rounds.map((round) => round.ours));
  const peers = median(rounds.map((round) => round.peers));
  const ratio = ours / peers;
  const failures = rounds.reduce((sum, round) => sum + round.failures, 0);
  const reached = ratio >= (floor ?? 0) && ratio <= (ceiling ?? Infinity);
  return {
    model,
    concurrency,
    images,
    peer,
    threads,
    measure,
    ours: rounded(ours),
    peers: rounded(peers),
    ratio: rounded(ratio),
    floor,
    ceiling,
    failures,
    pass: reached && failures === 0,
  };
}

/** Each of three versions is asked for once; the slowest counts. The ratio is to what is allowed. */
async function timeFirst({ threads }: Settings): Promise<Row> {
  const { model, ceilingSeconds } = FIRST;
  const serving = await startServing();
  try {
    const { url } = await serving.startApi({ SERVING_THREADS: threads });
    const requests = await imagesOfRequests(formatFor(benchModel(model).definition.inputShape), 1);
    const seconds = [];
    for (let number = 1; number <= ROUNDS; number++) {
      const predictions = serving.predictions(url, await serving.publish(model), requests.slice(0, 1));
      const startedAt = performance.now();
      await checkAnswers(predictions);
      seconds.push((performance.now() - startedAt) / 1_000);
      tell(`${model}, first prediction, round ${number} of ${ROUNDS}: ${rounded(seconds.at(-1)!)} s`);
    }
    const ours = Math.max(...seconds);
    return {
      model, concurrency: 1, images: 1, peer: 'the time allowed', threads, measure: 'firstSeconds', ours: rounded(ours),
      peers: ceilingSeconds, ratio: rounded(ours / ceilingSeconds), floor: null, ceiling: 1, failures: 0,
      pass: ours < ceilingSeconds,
    }; // prettier-ignore
  } finally {
    await serving.stop();
  }
}

/** Both sides behind the same balancer (round-robin.ts), so that what it costs is in both. */
async function compareProcesses(settings: Settings): Promise<Row> {
  const { model, concurrency } = PROCESSES;
  const { threads, seconds } = settings;
  const serving = await startServing();
  const half = Math.max(1, Math.floor(threads / 2));
  const apis = await Promise.all([threads, half, half].map((each) => serving.startApi({ SERVING_THREADS: each })));
  const [one, ...two] = apis.map(({ url }) => Number(new URL(url).port));
  const balancers = await Promise.all([startRoundRobin([one!]), startRoundRobin(two)]);
  try {
    const reference = await serving.publish(model);
    const requests = await imagesOfRequests('png', 1);
    const [peers, ours] = await Promise.all(
      balancers.map(async ({ port }) => {
        const url = `http://127.0.0.1:${port}/graphql`;
        const predictions = { ...serving.predictions(url, reference, requests), connections: concurrency };
        await warmUp(predictions);
        return askedBy({ ...predictions, seconds }, 1);
      }),
    );
    return await compare(PROCESSES, settings, { ours: ours!, peers: peers! });
  } finally {
    for (const balancer of balancers) await balancer.stop();
    await serving.stop();
  }
}
