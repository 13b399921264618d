import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { inject } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { connectApi } from '../../src/cli/client.js';
import { startApi, startWorker, type WorkerName } from '../../src/local/processes.js';
import type { ServerProcess } from '../../src/local/server-process.js';
import { freshBucket } from './buckets.js';
import { dropDatabase, freshDatabase, freshName } from './databases.js';
import { freshRedisPrefix } from './redis.js';

export type Role = 'VIEWER' | 'PREDICTOR' | 'TRAINER' | 'ADMIN';

/** What GraphQL answers, as it stands. */
export interface GraphQLAnswer {
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows what it asked for
  readonly data: any;
  readonly errors?: { message: string; path?: (string | number)[]; extensions: { code: string; field?: string } }[];
}

export interface WorkerProcess extends ServerProcess {
  /** Resolves when it is gone. */
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** The real processes, built, on a database, a queue prefix and a bucket of their own. */
export interface TestPlatform {
  /** Of the GraphQL endpoint. */
  readonly url: string;
  readonly adminKey: string;
  readonly env: Record<string, string>;
  readonly api: ServerProcess;
  /** With the admin key unless another is given; `key: null` sends none. */
  graphql(query: string, variables?: Record<string, unknown>, options?: { key?: string | null }): Promise<GraphQLAnswer>;
  /** Yields `data`; throws ApiError. */
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- each test knows what it asked for
  subscribe(query: string, variables?: Record<string, unknown>, options?: { key?: string }): AsyncIterable<any>;
  /** The secret of a new key of that role. */
  createKey(role: Role): Promise<string>;
  /** In the order in which they were started. */
  worker(index?: number): WorkerProcess;
  startWorker(name: WorkerName, env?: Record<string, string>): Promise<WorkerProcess>;
  /** One more process of the API: what asks it. */
  startApi(): Promise<TestPlatform['graphql']>;
  /** One more process of the API itself. */
  startApiProcess(): Promise<ServerProcess & { readonly url: string }>;
  stop(): Promise<void>;
}

/**
 * Starts the API and the workers named, from dist/, and waits until they answer. Stop it in `afterAll`.
 * @param env more variables of src/config.ts
 * @param servers where not on those that all tests share
 */
export async function startPlatform(
  options: { workers?: WorkerName[]; env?: Record<string, string>; servers?: GivenServers } = {},
): Promise<TestPlatform> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-test-'));
  const { databaseUrl, redisUrl, bucket } = options.servers ?? (await namesOnSharedServers());
  const adminKey = randomBytes(24).toString('hex');
  const env = {
    NODE_ENV: 'test',
    PORT: '0',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    REDIS_PREFIX: freshRedisPrefix(),
    S3_ENDPOINT: bucket.endpoint,
    S3_ACCESS_KEY: bucket.accessKey,
    S3_SECRET_KEY: bucket.secretKey,
    S3_BUCKET: bucket.bucket,
    RESIDUAL_DATA_DIR: dataDir,
    RESIDUAL_ADMIN_KEY: adminKey,
    ...options.env,
  };
  const running: ServerProcess[] = [];
  const starting: Promise<unknown>[] = [];
  const workers: WorkerProcess[] = [];
  let workersAsked = 0;
  const clients: ReturnType<typeof connectApi>[] = [];

  const stop = async () => {
    await Promise.all(clients.map((client) => client.close()));
    // Also those that were still starting when another failed.
    await Promise.allSettled(starting);
    await Promise.all(running.map((process) => process.stop()));
    if (!options.servers) await dropDatabase(databaseUrl);
    await rm(dataDir, { recursive: true, force: true });
  };
  const start = async (name: WorkerName, more: Record<string, string> = {}) => {
    const environment = { ...process.env, ...env, ...more };
    const place = workersAsked++;
    const worker = await startWorker(name, { dataDir, environment }, freshName(`worker-${name}-`));
    running.push(worker);
    return (workers[place] = { ...worker, kill: (signal) => kill(worker, signal) });
  };

  try {
    const newApi = async (name?: string) => {
      const server = await startApi({ dataDir, environment: { ...process.env, ...env } }, name);
      running.push(server);
      return server;
    };
    const starts = [newApi(), ...(options.workers ?? []).map((name) => start(name))] as const;
    starting.push(...starts);
    const [api] = await Promise.all(starts);
    const askAt =
      (url: string): TestPlatform['graphql'] =>
      (query, variables, { key = adminKey } = {}) =>
        ask(url, key, query, variables);
    const graphql = askAt(api.url);
    return {
      url: api.url,
      adminKey,
      env,
      api,
      graphql,
      async *subscribe(query, variables, { key = adminKey } = {}) {
        const client = connectApi(api.url, key);
        clients.push(client);
        yield* client.subscribe(query, variables);
      },
      async createKey(role) {
        const { data, errors } = await graphql(CREATE_KEY, { name: freshName('key-'), role });
        if (errors) throw new Error(errors[0]?.message);
        return data.createApiKey.secret;
      },
      worker(index = 0) {
        const worker = workers[index];
        if (worker === undefined) throw new Error(`no worker ${index} was started`);
        return worker;
      },
      startWorker: start,
      startApi: async () => askAt((await newApi(freshName('api-'))).url),
      startApiProcess: () => newApi(freshName('api-')),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface GivenServers {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly bucket: Pick<ObjectsConfig, 'endpoint' | 'accessKey' | 'secretKey' | 'bucket'>;
}

async function namesOnSharedServers(): Promise<GivenServers> {
  const [databaseUrl, bucket] = await Promise.all([freshDatabase(), freshBucket()]);
  return { databaseUrl, redisUrl: inject('servers').redisUrl, bucket };
}

const CREATE_KEY = 'mutation ($name: String!, $role: Role!) { createApiKey(name: $name, role: $role) { secret } }';

async function ask(url: string, key: string | null, query: string, variables = {}): Promise<GraphQLAnswer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key !== null && { authorization: `Bearer ${key}` }) },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as GraphQLAnswer;
}

async function kill(worker: ServerProcess, signal: NodeJS.Signals): Promise<void> {
  process.kill(worker.pid, signal);
  await worker.ended;
}
