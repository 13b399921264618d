import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { compiledProgram } from './compiled.js';
import { freePort } from './free-port.js';
import { spawnServer, untilReady, type ServerProcess } from './server-process.js';

export type WorkerName = 'train' | 'datasets' | 'sweeps' | 'quantize';

export interface ProcessOptions {
  readonly dataDir: string;
  /** The whole environment of `src/config.ts`. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Starts the API process and waits until /readyz says that it reaches the database, the queue and the objects.
 * @param name where there are several
 * @returns with `url`, where GraphQL is
 * @throws ResidualError SERVICE_UNAVAILABLE, or CONFLICT where its port is in use
 */
export async function startApi(
  options: ProcessOptions,
  name = 'api',
): Promise<ServerProcess & { readonly url: string }> {
  const { PORT, HOST = '127.0.0.1' } = options.environment;
  const port = await freePort(Number(PORT), HOST);
  const origin = `http://${reachable(HOST)}:${port}`;
  const environment = { ...MEMORY_OF_API, ...options.environment };
  const server = await spawnProgram(name, 'src/main.js', { ...options, environment }, { PORT: String(port) });
  await untilReady(server, () => answers(`${origin}/readyz`));
  return { ...server, url: `${origin}/graphql` };
}

/**
 * Starts a worker process and waits until it is at work.
 * @param name of the process, where there are several of one kind
 */
export async function startWorker(
  kind: WorkerName,
  options: ProcessOptions,
  name = `worker-${kind}`,
): Promise<ServerProcess> {
  const { HOST = '127.0.0.1', WORKER_HTTP_PORT } = options.environment;
  // Two workers cannot have the port that is asked for; it is the one of the worker that trains.
  const port = await freePort(kind === 'train' ? Number(WORKER_HTTP_PORT || 0) : 0, HOST, 'WORKER_HTTP_PORT');
  const server = await spawnProgram(name, `workers/${kind}.js`, options, {
    ...MEMORY_OF_WORKERS,
    WORKER_HTTP_PORT: String(port),
  });
  await untilReady(server, () => answers(`http://${reachable(HOST)}:${port}/healthz`));
  return server;
}

/**
 * A training step or a decoded image holds a thread of libuv's pool while it computes; files need some beside. OpenMP's
 * threads wait for each other in a loop that turns 300,000 times unless told otherwise: where the API or PostgreSQL
 * want the same cores, that holds up the thread that is waited for. A thousand turns cost nothing where nobody does.
 */
const THREADING = { UV_THREADPOOL_SIZE: String(4 + availableParallelism()), GOMP_SPINCOUNT: '1000' };

const CPU: Partial<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' };
const JEMALLOC = `/usr/lib/${CPU[process.arch]}-linux-gnu/libjemalloc.so.2`;

/**
 * Where a page fault is dear, as on virtual machines, memory by 2 MiB at a time comes many times as fast
 * (docs/decisions/0009-serving-memory-and-threads.md). Of glibc, from 2.35 on; others ignore it.
 */
const MEMORY_OF_WORKERS = { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' };

/**
 * Without these jemalloc gives blocks of 8 MiB and more back at once, and a batch's activations, which are as large,
 * cost page faults in every run; its own thread gives back what nobody has used for ten seconds.
 */
const MALLOC_CONF = 'background_thread:true,oversize_threshold:0,thp:always';

/**
 * What a released model took goes back to the system, where glibc would keep most of it: by jemalloc, which Debian's
 * redis-server brings, or else by a threshold of glibc's own (mallopt(3)), at a cost in speed
 * (docs/decisions/0009-serving-memory-and-threads.md).
 */
export const MEMORY_OF_API = existsSync(JEMALLOC)
  ? { LD_PRELOAD: JEMALLOC, MALLOC_CONF }
  : { MALLOC_TRIM_THRESHOLD_: '131072' };

function spawnProgram(
  name: string,
  program: string,
  { dataDir, environment }: ProcessOptions,
  more: NodeJS.ProcessEnv,
): Promise<ServerProcess> {
  return spawnServer({
    name,
    file: process.execPath,
    args: ['--enable-source-maps', compiledProgram(program)],
    dataDir,
    env: { ...THREADING, ...environment, ...more },
    stopTimeoutMs: 30_000,
  });
}

/** Where a server that listens on `host` is reached from this machine, as part of a URL. */
function reachable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') ? `[${host}]` : host;
}

const answers = (url: string) => fetch(url, { signal: AbortSignal.timeout(5_000) }).then(({ ok }) => ok, () => false);
