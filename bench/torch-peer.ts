import { existsSync } from 'node:fs';
import path from 'node:path';
import { run } from './processes.js';

/** PyTorch's own training steps on this machine: shared/peers/torch_train.py, which lies beside this checkout. */

const SCRIPT = path.resolve(import.meta.dirname, '../../../shared/peers/torch_train.py');
const PYTHON = '/usr/bin/python3';

export interface TorchFigures {
  /** Images per second: the best of all precisions and layouts, and of those in float32. */
  readonly best: number;
  readonly float32: number;
  /** Of the whole process, whatever it measured. */
  readonly peakBytes: number;
  /** That it computed with, by its own account. */
  readonly threads: number;
}

/** Around the peer's script, to learn its threads and its peak memory. */
const WRAPPER = `import resource, runpy, sys, torch
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])
print('threads', torch.get_num_threads())
runpy.run_path(sys.argv[0], run_name='__main__')
print('peak', resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)`;

/** @throws Error where the peer is not there. Needs Debian's python3-torch and python3-torchvision. */
export function requireTorchPeer(): void {
  if (!existsSync(SCRIPT)) throw new Error('the peer, shared/peers/torch_train.py, must lie beside this checkout');
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
