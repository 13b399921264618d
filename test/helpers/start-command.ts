import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync } from 'node:fs';
import path from 'node:path';

const START = path.resolve(import.meta.dirname, '../../dist/src/cli/start.js');

export interface StartCommand {
  readonly pid: number;
  /** The `ready` line, parsed; rejects with what was on stderr if the command ends before. */
  readonly ready: Promise<{ url: string; key: string }>;
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  stderr(): string;
  signal(signal: NodeJS.Signals): void;
}

/** The built `npm start`, as it is started once set up, with these variables beside PATH and HOME. */
export function startCommand(environment: Record<string, string>): StartCommand {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [START], { env: { PATH, HOME, ...environment } });
  // Of a test that failed before it ended what it started.
  const end = () => void child.kill('SIGKILL');
  process.once('exit', end);
  child.once('close', () => process.off('exit', end));
  let stdout = '';
  let stderr = '';
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ready = new Promise<{ url: string; key: string }>((resolve, reject) => {
    child.stdout.on('data', (chunk) => {
      stdout += chunk;
      const line = /^ready (.*)$/m.exec(stdout);
      if (line?.[1] !== undefined) resolve(JSON.parse(line[1]));
    });
    child.on('exit', () => reject(new Error(stderr)));
  });
  ready.catch(() => undefined);
  const ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  return { pid: child.pid as number, ready, ended, stderr: () => stderr, signal: (signal) => child.kill(signal) };
}

/** The pids of processes that work in `folder` or below: every process that `npm start` starts does. */
export function processesIn(folder: string): number[] {
  const worksThere = (pid: number) => {
    try {
      const cwd = readlinkSync(`/proc/${pid}/cwd`);
      return cwd === folder || cwd.startsWith(`${folder}/`);
    } catch {
      return false;
    }
  };
  return readdirSync('/proc').map(Number).filter((pid) => pid > 0 && worksThere(pid));
}
