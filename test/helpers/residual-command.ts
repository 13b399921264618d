import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** What `npx residual` starts. */
export const RESIDUAL = path.resolve(import.meta.dirname, '../../scripts/residual.mjs');

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ResidualProcess {
  readonly ended: Promise<Ended>;
  stdout(): string;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
}

export interface CommandOptions {
  /** Beside PATH and a HOME in which nothing is. */
  readonly env?: Record<string, string>;
  readonly cwd?: string;
  readonly input?: string;
}

/** The real command, as `npx residual` runs it. */
export function startResidual(args: readonly string[], { env, cwd, input = '' }: CommandOptions = {}): ResidualProcess {
  const { PATH = '' } = process.env;
  const child = spawn(process.execPath, [RESIDUAL, ...args], { env: { PATH, HOME: '/nonexistent', ...env }, cwd });
  // Of a test that failed before it ended what it started.
  const end = () => void child.kill('SIGKILL');
  process.once('exit', end);
  child.once('close', () => process.off('exit', end));
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  // A command that reads nothing may be gone by now.
  child.stdin.on('error', () => undefined);
  child.stdin.end(input);
  const ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  return { ended, stdout: () => stdout, stderr: () => stderr, signal: (signal) => void child.kill(signal) };
}

export const residual = (args: readonly string[], options?: CommandOptions): Promise<Ended> =>
  startResidual(args, options).ended;
