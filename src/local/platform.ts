import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StartConfig } from '../config.js';
import { freePort } from './free-port.js';
import { lockDataDir } from './lock.js';
import { startApi, startWorker, type ProcessOptions } from './processes.js';
import { keptSecret } from './secret.js';
import { lastWords, type ServerProcess } from './server-process.js';
import { startStack, type Stack } from './stack.js';

/** The whole of `residual` on this machine: the servers, the API and a worker of each kind. */
export interface Platform {
  /** Of the GraphQL endpoint. */
  readonly url: string;
  /** The secret of an ADMIN key. */
  readonly key: string;
  /** Where the logs of all processes are. */
  readonly logs: string;
  /** Resolves, with the reason, if a part ends that the platform cannot do without. */
  readonly failed: Promise<string>;
  /** In order: the API drains, the workers hand their jobs back, then the servers. */
  stop(): Promise<void>;
}

/**
 * Starts everything, or nothing: what had started is stopped again if a part does not.
 * @param report is told, a line at a time, of what happens later: a worker that is started again
 * @throws ResidualError
 */
export async function startPlatform(config: StartConfig, report: (line: string) => void): Promise<Platform> {
  const { dataDir } = config;
  const unlock = lockDataDir(dataDir);
  const parts: Stoppable[] = [{ stop: unlock }];
  const stop = async () => {
    for (const part of parts.splice(0).toReversed()) await Promise.resolve(part.stop()).catch(() => undefined);
  };
  try {
    const key = config.adminKey ?? keptSecret(dataDir, 'admin-key');
    // Now rather than when everything else has been started.
    const port = await freePort(config.http.port, config.http.host);
    const stack = await startStack(dataDir, config);
    parts.push(stack);
    const options = { dataDir, environment: { ...environmentFor(config, stack, key), PORT: String(port) } };
    const api = await startApi(options);
    const index = parts.push(api) - 1;
    const starts = [
      ...trainingWorkers(config.trainingWorkers, options),
      () => startWorker('datasets', options),
      () => startWorker('sweeps', options),
      () => startWorker('quantize', options),
    ];
    const workers = starts.map((start) => supervise(start, report));
    // Before the API in the list, so after it in the order of stopping; together, or one would take up what another
    // hands back.
    const stopWorkers = async () => void (await Promise.allSettled(workers.map(async (worker) => worker.stop())));
    parts.splice(index, 0, { stop: stopWorkers });
    await Promise.all(workers.map(({ started }) => started));
    const apiFailed = api.ended.then((how) => `the API ended (${how}): ${lastWords(api)}; its log: ${api.logFile}`);
    const failed = Promise.race([stack.failed, apiFailed]);
    return { url: api.url, key, logs: path.dirname(api.logFile), failed, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first has WORKER_HTTP_PORT, which two cannot share, the others a free port each. */
function trainingWorkers(count: number, options: ProcessOptions): (() => Promise<ServerProcess>)[] {
  const others = { ...options, environment: { ...options.environment, WORKER_HTTP_PORT: '0' } };
  return Array.from({ length: count }, (_, index) =>
    index === 0 ? () => startWorker('train', options) : () => startWorker('train', others, `worker-train-${index + 1}`),
  );
}

interface Stoppable {
  stop(): Promise<void> | void;
}

function environmentFor(config: StartConfig, stack: Stack, key: string): NodeJS.ProcessEnv {
  const { databaseUrl, redisUrl, objects } = stack;
  return {
    ...config.environment,
    HOST: config.http.host,
    RESIDUAL_DATA_DIR: config.dataDir,
    RESIDUAL_ADMIN_KEY: key,
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    S3_ENDPOINT: objects.endpoint,
    S3_ACCESS_KEY: objects.accessKey,
    S3_SECRET_KEY: objects.secretKey,
  };
}

const FIRST_DELAY_MS = 1_000;
const MAX_DELAY_MS = 30_000;
/** A worker that has lasted this long failed for a new reason. */
const STEADY_MS = 60_000;

/** Keeps a worker running: one that ends unasked is started again, after a pause that doubles each time. */
function supervise(
  start: () => Promise<ServerProcess>,
  report: (line: string) => void,
): Stoppable & { readonly started: Promise<unknown> } {
  const stopping = new AbortController();
  let worker = start();
  const watch = async () => {
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
      const startedAt = performance.now();
      const how = await worker.then((running) => endOf(running), (error: Error) => error.message);
      if (performance.now() - startedAt > STEADY_MS) delayMs = FIRST_DELAY_MS;
      if (stopping.signal.aborted) return;
      report(`${how}; it is started again in ${delayMs / 1000} s`);
      await sleep(delayMs, undefined, { signal: stopping.signal });
      worker = start();
    }
  };
  const started = worker;
  const watching = started.then(watch).catch(() => undefined);
  return {
    started,
    stop: async () => {
      stopping.abort();
      await worker.then((running) => running.stop(), () => undefined);
      await watching;
    },
  };
}

const endOf = async (worker: ServerProcess) =>
  `${worker.name} ended (${await worker.ended}), its log: ${worker.logFile}`;
