import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';

const PEER = path.resolve(import.meta.dirname, '../../../shared/peers/torch_train.py');
const PYTHON = '/usr/bin/python3';
const ROUNDS = 3;

/** What is compared: each in both precisions. Floors are ratios to the peer's images per second. */
const WORKS = [
  { model: 'resnet20', batchSize: 128, floor: 2.0 },
  { model: 'notebook', batchSize: 64, floor: 2.3 },
  { model: 'resnet18', batchSize: 32, floor: 1.4 },
  { model: 'resnet50', batchSize: 16, floor: 1.4 },
] as const;
/** In float32, against the peer's best float32. */
const FLOAT32_FLOOR = 1.5;

type Work = (typeof WORKS)[number];

interface Round {
  readonly ours: { readonly BFLOAT16: number; readonly FLOAT32: number };
  /** The best of all precisions and layouts, and of those in float32. */
  readonly peer: { readonly best: number; readonly float32: number };
  readonly peakBytes: { readonly ours: number; readonly peer: number };
}

/**
 * `npm run bench -- train-peers [MODEL …]`: PyTorch's training steps and ours in turn on this machine, three rounds,
 * and the ratios of the medians. Needs Debian's python3-torch and python3-torchvision.
 */
export async function benchTrainPeers(args: string[]): Promise<void> {
  const { positionals } = parseArgs({ args, allowPositionals: true });
  if (!existsSync(PEER)) throw new Error('the peer, shared/peers/torch_train.py, must lie beside this checkout');
  const works = WORKS.filter(({ model }) => positionals.length === 0 || positionals.includes(model));
  const rows = [];
  for (const work of works) {
    const rounds: Round[] = [];
    for (let round = 0; round < ROUNDS; round++) rounds.push(await runRound(work));
    rows.push(...compare(work, rounds));
  }
  console.table(rows);
  console.log(JSON.stringify({ rows, pass: rows.every(({ ratio, floor }) => ratio >= floor) }));
}

async function runRound({ model, batchSize }: Work): Promise<Round> {
  const peer = await runPeer(model, batchSize);
  const [bfloat16, float32] = [await runOurs(model, batchSize, 'bfloat16'), await runOurs(model, batchSize, 'float32')];
  return {
    ours: { BFLOAT16: bfloat16.imagesPerSecond, FLOAT32: float32.imagesPerSecond },
    peer,
    peakBytes: { ours: bfloat16.peakBytes, peer: peer.peakBytes },
  };
}

function compare({ model, batchSize, floor }: Work, rounds: readonly Round[]) {
  const row = (precision: 'BFLOAT16' | 'FLOAT32', least: number) => {
    const ours = median(rounds.map((round) => round.ours[precision]));
    const peer = median(rounds.map((round) => (precision === 'BFLOAT16' ? round.peer.best : round.peer.float32)));
    const memory = median(rounds.map(({ peakBytes }) => peakBytes.ours / peakBytes.peer));
    return {
      model,
      batchSize,
      precision,
      imagesPerSecond: Math.round(ours),
      peerImagesPerSecond: Math.round(peer),
      ratio: rounded(ours / peer),
      floor: least,
      ...(precision === 'BFLOAT16' && { peakBytesRatio: rounded(memory) }),
    };
  };
  return [row('BFLOAT16', floor), row('FLOAT32', FLOAT32_FLOOR)];
}

async function runOurs(model: string, batchSize: number, precision: string) {
  const main = path.join(import.meta.dirname, 'main.js');
  const output = await run(process.execPath, [main, 'train', model, String(batchSize), '--precision', precision]);
  return JSON.parse(output.trimEnd().split('\n').at(-1)!) as { imagesPerSecond: number; peakBytes: number };
}

/** Around the peer's script, to learn its peak memory. */
const PEER_WITH_PEAK = `import resource, runpy, sys
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])
runpy.run_path(sys.argv[0], run_name='__main__')
print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)`;

async function runPeer(model: string, batchSize: number) {
  const output = await run(PYTHON, ['-c', PEER_WITH_PEAK, PEER, model, String(batchSize)]);
  const rates = [...output.matchAll(/(f32|bf16) +n\w+ ([\d.]+) img/g)].map(([, type, rate]) => ({ type, rate: Number(rate) }));
  return {
    best: Math.max(...rates.map(({ rate }) => rate)),
    float32: Math.max(...rates.filter(({ type }) => type === 'f32').map(({ rate }) => rate)),
    peakBytes: Number(/peak (\d+)/.exec(output)?.[1]),
  };
}

function run(file: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) => (code === 0 ? resolve(output) : reject(new Error(`${file} ended with ${code}`))));
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

const rounded = (value: number) => Math.round(value * 100) / 100;
