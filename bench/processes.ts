import { spawn } from 'node:child_process';
import path from 'node:path';

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
  /** For its stdin. */
  readonly input?: string;
}

/** Runs a program to its end. @returns what it wrote to stdout @throws Error where it ends with anything but 0. */
export function run(file: string, args: readonly string[], { env, input = '' }: RunOptions = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } });
    // A program that ends without having read it all says why itself.
    child.stdin.on('error', () => undefined).end(input);
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code, signal) =>
      code === 0 ? resolve(output) : reject(new Error(`${file} ${args.join(' ')} ended with ${code ?? signal}`)),
    );
  });
}

/** Another bench in a process of its own, for its memory and its threads' sake. @returns its JSON. */
export async function runBench<T>(...args: readonly string[]): Promise<T> {
  const output = await run(process.execPath, [path.join(import.meta.dirname, 'main.js'), ...args]);
  return JSON.parse(output.trimEnd().split('\n').at(-1)!) as T;
}

/** What `train` and `loop` print. */
export interface TrainingFigures {
  readonly imagesPerSecond: number;
  readonly precision: string;
  readonly threads: number;
  readonly device: string;
  readonly peakBytes: number;
}
