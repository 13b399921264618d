import { availableParallelism } from 'node:os';
import { compiledProgram } from './compiled.js';
import { spawnServer, untilReady, type ServerProcess } from './server-process.js';

export type WorkerName = 'train' | 'datasets';

interface ProcessOptions {
  readonly dataDir: string;
  /** The whole environment of `src/config.ts`. */
  readonly environment: NodeJS.ProcessEnv;
}

/**
 * Starts the API process and waits until /readyz says that it reaches the database, the queue and the objects.
 * @returns with `url`, where GraphQL is
 * @throws ResidualError SERVICE_UNAVAILABLE
 */
export async function startApi(options: ProcessOptions): Promise<ServerProcess & { readonly url: string }> {
  const server = await spawnProgram('api', 'src/main.js', options);
  let url: string | undefined;
  await untilReady(server, async () => {
    url ??= announced(server, 'listening')?.url;
    return url !== undefined && (await answers(new URL('/readyz', url)));
  });
  return { ...server, url: url as string };
}

/**
 * Starts a worker process and waits until it takes jobs.
 * @param name beside the queue's name where several serve one queue
 */
export async function startWorker(queue: WorkerName, options: ProcessOptions, name = `worker-${queue}`): Promise<ServerProcess> {
  const server = await spawnProgram(name, `workers/${queue}.js`, options);
  await untilReady(server, () => announced(server, 'ready') !== undefined);
  return server;
}

function spawnProgram(name: string, program: string, { dataDir, environment }: ProcessOptions): Promise<ServerProcess> {
  return spawnServer({
    name,
    file: process.execPath,
    args: ['--enable-source-maps', compiledProgram(program)],
    dataDir,
    // A training step or a decoded image holds a thread of libuv's pool while it computes; files need some beside.
    env: { UV_THREADPOOL_SIZE: String(4 + availableParallelism()), ...environment },
    stopTimeoutMs: 30_000,
  });
}

/** The line of JSON in its log by which a process of ours says how far it is. */
function announced(server: ServerProcess, message: string): { readonly url?: string } | undefined {
  const line = server.said().split('\n').find((text) => text.includes(`"msg":"${message}"`) && text.endsWith('}'));
  return line === undefined ? undefined : (JSON.parse(line) as { url?: string });
}

const answers = (url: URL) => fetch(url).then(({ ok }) => ok, () => false);
