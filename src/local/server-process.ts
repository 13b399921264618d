import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unavailable } from '../errors.js';
import { livingOwner, recordOwner } from './process-identity.js';

export interface ServerCommand {
  /** As it is told to the user, and in file names: `redis`. */
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Where its log (`logs/NAME.log`) and its owner's mark (`NAME.pid`) go. */
  readonly dataDir: string;
  /** The signal that asks it for an ordered end. @default 'SIGTERM' */
  readonly stopSignal?: 'SIGINT' | 'SIGTERM';
  /** Options of setpriv(1) that decide whom it runs as. */
  readonly privileges?: readonly string[];
  /** Said when the program is not there: what to install. */
  readonly remedy?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** @default 15000 */
  readonly stopTimeoutMs?: number;
}

export interface ServerProcess {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  /** What it has written to its log since it was started. */
  said(): string;
  /** Resolves, never rejects, once it has ended: `exit code 1`, `signal SIGKILL`. */
  readonly ended: Promise<string>;
  /** Asks for an ordered end, waits, and kills it when it takes longer than `stopTimeoutMs`. */
  stop(): Promise<void>;
}

/**
 * Starts a program as a child that shares nothing with the terminal (Ctrl-C reaches this process alone, which stops
 * its children in order) and that the kernel ends when this process dies, even by kill -9 (setpriv --pdeathsig).
 * One that outlived its parent nevertheless is stopped first.
 */
export async function spawnServer(command: ServerCommand): Promise<ServerProcess> {
  const { name, dataDir, stopSignal = 'SIGTERM', privileges = [], stopTimeoutMs = 15_000 } = command;
  const logFile = path.join(dataDir, 'logs', `${name}.log`);
  const ownerFile = path.join(dataDir, `${name}.pid`);
  mkdirSync(path.dirname(logFile), { recursive: true });
  await stopOrphan(ownerFile, stopSignal);
  const logStart = rotatedSize(logFile);
  const log = openSync(logFile, 'a');
  const child = spawn(
    'setpriv',
    [`--pdeathsig=${stopSignal.slice(3)}`, ...privileges, '--', command.file, ...command.args],
    { cwd: dataDir, detached: true, stdio: ['ignore', log, log], ...(command.env && { env: command.env }) },
  );
  closeSync(log);
  const ended = endOf(child, command).finally(() => rmSync(ownerFile, { force: true }));
  if (child.pid === undefined) throw unavailable(`${name} did not start: ${await ended}`);
  recordOwner(ownerFile, child.pid);
  return {
    name,
    pid: child.pid,
    logFile,
    said: () => readFileSync(logFile).subarray(logStart).toString(),
    ended,
    stop: async () => {
      child.kill(stopSignal);
      const timer = setTimeout(() => child.kill('SIGKILL'), stopTimeoutMs);
      await ended;
      clearTimeout(timer);
    },
  };
}

async function endOf(child: ReturnType<typeof spawn>, { file, remedy }: ServerCommand): Promise<string> {
  try {
    const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
    // setpriv's code for a program that is not there.
    if (code === 127) return `${file} is not installed${remedy ? `: ${remedy}` : ''}`;
    return signal === null ? `exit code ${code}` : `signal ${signal}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT'
      ? 'setpriv is not installed: apt-get install util-linux'
      : String(error);
  }
}

/**
 * Waits until `ready` says so. If the server ends first or takes longer, it is stopped.
 * @throws ResidualError SERVICE_UNAVAILABLE with what the server said last
 */
export async function untilReady(
  server: ServerProcess,
  ready: () => Promise<boolean> | boolean,
  timeoutMs = 30_000,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  let end: string | undefined;
  void server.ended.then((how) => (end = how));
  while (!(await ready())) {
    if (end !== undefined) throw unavailable(whyNot(server, end));
    if (performance.now() > deadline) {
      await server.stop();
      throw unavailable(`${server.name} was not ready within ${timeoutMs / 1000} s; its log: ${server.logFile}`);
    }
    await sleep(25);
  }
}

/** A process of ours ends with one line that says it all; of any other its name has to be said. */
function whyNot(server: ServerProcess, end: string): string {
  const words = lastWords(server);
  if (words.startsWith('residual: ')) return words.slice('residual: '.length);
  return `${server.name} did not start: ${end.includes('not installed') ? end : words || end}`;
}

/** The last line of a server's log; of a line in JSON its message. */
export function lastWords(server: ServerProcess): string {
  const line = server.said().trimEnd().split('\n').at(-1) ?? '';
  try {
    const { msg, err } = JSON.parse(line) as { msg?: string; err?: { message?: string } };
    return [msg, err?.message].filter(Boolean).join(': ');
  } catch {
    return line;
  }
}

const MAX_LOG_BYTES = 16 * 1024 ** 2;

/** Puts a log that has grown large aside, in the place of the one before. @returns the bytes that are left */
function rotatedSize(logFile: string): number {
  const bytes = statSync(logFile, { throwIfNoEntry: false })?.size ?? 0;
  if (bytes <= MAX_LOG_BYTES) return bytes;
  renameSync(logFile, `${logFile}.1`);
  return 0;
}

async function stopOrphan(ownerFile: string, stopSignal: NodeJS.Signals): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += 50) {
    const pid = livingOwner(ownerFile);
    if (pid === null) return;
    if (waitedMs === 0) process.kill(pid, stopSignal);
    if (waitedMs === 10_000) process.kill(pid, 'SIGKILL');
    await sleep(50);
  }
}
