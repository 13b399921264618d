import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort } from '../src/local/free-port.js';
import { spawnServer, untilReady } from '../src/local/server-process.js';
import type { Predictions } from './load.js';
import { run } from './processes.js';

/** PyTorch on this machine: the scripts in shared/peers, which lies beside this checkout. */

const PEERS = path.resolve(import.meta.dirname, '../../../shared/peers');
const SCRIPT = path.join(PEERS, 'torch_train.py');
const SERVER = path.join(PEERS, 'torch_serve.py');
const PYTHON = '/usr/bin/python3';
/** It imports PyTorch and tries both precisions first. */
const START_MS = 120_000;

export interface TorchFigures {
  /** Images per second: the best of all precisions and layouts, and of those in float32. */
  readonly best: number;
  readonly float32: number;
  /** Of the whole process, whatever it measured. */
  readonly peakBytes: number;
  /** That it computed with, by its own account. */
  readonly threads: number;
}

/** Around a peer's script, to learn its threads and its peak memory. */
const WRAPPER = `import resource, runpy, sys, torch
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])
print('threads', torch.get_num_threads(), flush=True)
runpy.run_path(sys.argv[0], run_name='__main__')
print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)`;

/** @throws Error where the peers are not there. They need Debian's python3-torch and python3-torchvision. */
export function requireTorchPeer(): void {
  for (const script of [SCRIPT, SERVER])
    if (!existsSync(script)) throw new Error(`the peer, shared/peers/${path.basename(script)}, must lie beside this checkout`);
}

/** `threads`: as many as ours. PyTorch counts cores itself only on CPUs that it knows and takes one on others. */
export async function runTorchPeer(model: string, batchSize: number, threads: number): Promise<TorchFigures> {
  const args = ['-c', WRAPPER, SCRIPT, model, String(batchSize)];
  const output = await run(PYTHON, args, { env: { OMP_NUM_THREADS: String(threads) } });
  const lines = [...output.matchAll(/(f32|bf16) +n\w+ ([\d.]+) img/g)];
  const best = (precision: RegExp) =>
    Math.max(...lines.filter(([, type]) => precision.test(type!)).map(([, , rate]) => Number(rate)));
  return {
    best: best(/./),
    float32: best(/f32/),
    peakBytes: Number(/peak (\d+)/.exec(output)?.[1]),
    threads: Number(/threads (\d+)/.exec(output)?.[1]),
  };
}

/** A server of predictions with FastAPI and PyTorch. */
export interface TorchServer {
  /** That it computes with, by its own account. */
  readonly threads: number;
  /** Requests: one for each list of images. */
  predictions(requests: readonly string[][], topK: number): Predictions;
  stop(): Promise<void>;
}

/** torch_serve.py, which also needs Debian's python3-fastapi, python3-uvicorn and python3-pil. */
export async function startTorchServer(model: string, threads: number): Promise<TorchServer> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  const port = await freePort(0, '127.0.0.1');
  const args = ['-c', WRAPPER, SERVER, model, String(port)];
  const env = { ...process.env, OMP_NUM_THREADS: String(threads) };
  const server = await spawnServer({ name: 'torch-serve', file: PYTHON, args, dataDir, env });
  const url = `http://127.0.0.1:${port}/predict`;
  await untilReady(server, () => fetch(url).then(() => true, () => false), START_MS);
  return {
    threads: Number(/threads (\d+)/.exec(server.said())?.[1]),
    predictions: (requests, topK) => ({
      url,
      bodies: requests.map((images) => JSON.stringify({ images, topK })),
      probabilities: topK * requests[0]!.length,
    }),
    stop: async () => {
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
