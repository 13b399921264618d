import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from 'minio';
import { startObjects } from '../../src/local/objects.js';
import { startPostgres } from '../../src/local/postgres.js';
import { startRedis } from '../../src/local/redis.js';
import type { ServerProcess } from '../../src/local/server-process.js';

/** A server that a test may do anything to; its address stays. */
export interface FaultyServer {
  readonly name: 'PostgreSQL' | 'Redis' | 'the object store';
  /** SIGSTOP: it takes connections (the kernel does) and never answers. */
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** SIGKILL, to each of its processes: nobody says goodbye, and connections are refused. */
  kill(): Promise<void>;
  /** Where it stood, with what it had written down. Resolves when it answers. */
  restart(): Promise<void>;
}

export interface FaultyServers {
  readonly postgres: FaultyServer;
  readonly redis: FaultyServer;
  readonly objects: FaultyServer;
  readonly all: readonly FaultyServer[];
  /** What `startPlatform` takes. */
  readonly addresses: {
    readonly databaseUrl: string;
    readonly redisUrl: string;
    readonly bucket: { readonly endpoint: string; readonly accessKey: string; readonly secretKey: string; readonly bucket: string };
  };
  stop(): Promise<void>;
}

/** PostgreSQL, Redis and an S3 server of the test's own, each as `npm start` starts them: nothing they accepted is lost. */
export async function startFaultyServers(): Promise<FaultyServers> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-faults-'));
  const [database, queue, store] = await Promise.all([startPostgres(dataDir), startRedis(dataDir), startObjects(dataDir)]);
  const { endpoint, accessKey, secretKey } = store;
  const postgres = faulty('PostgreSQL', database, () => startPostgres(dataDir, true, portOf(database.url)));
  const redis = faulty('Redis', queue, () => startRedis(dataDir, portOf(queue.url)));
  const objects = faulty('the object store', store, () => startObjects(dataDir, portOf(endpoint)));
  const bucket = 'faults';
  const { hostname } = new URL(endpoint);
  await new Client({ endPoint: hostname, port: portOf(endpoint), useSSL: false, accessKey, secretKey }).makeBucket(bucket);
  return {
    postgres,
    redis,
    objects,
    all: [postgres, redis, objects],
    addresses: { databaseUrl: database.url, redisUrl: queue.url, bucket: { endpoint, accessKey, secretKey, bucket } },
    stop: async () => {
      for (const server of [objects, redis, postgres]) await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** Does `work` while the server is away in one manner, and brings it back. */
export async function without(server: FaultyServer, manner: 'frozen' | 'killed', work: () => Promise<void>): Promise<void> {
  if (manner === 'frozen') await server.freeze();
  else await server.kill();
  try {
    await work();
  } finally {
    if (manner === 'frozen') await server.thaw();
    else await server.restart();
  }
}

const portOf = (url: string) => Number(new URL(url).port);

function faulty(
  name: FaultyServer['name'],
  first: ServerProcess,
  start: () => Promise<ServerProcess>,
): FaultyServer & { stop(): Promise<void> } {
  let server = first;
  const signal = async (what: NodeJS.Signals) => {
    // The parent first, so that it neither mourns its children nor makes new ones.
    for (const pid of [server.pid, ...(await childrenOf(server.pid))]) send(pid, what);
  };
  return {
    name,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
    kill: async () => {
      await signal('SIGKILL');
      await server.ended;
    },
    restart: async () => void (server = await start()),
    stop: async () => {
      await signal('SIGCONT');
      await server.stop();
    },
  };
}

/** PostgreSQL has a process for each connection, of a session of its own: a signal to the group does not reach them. */
async function childrenOf(parent: number): Promise<number[]> {
  const pids = (await readdir('/proc')).map(Number).filter((pid) => pid > 0);
  const stats = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')));
  // pid (name) state ppid …, and a name may hold anything.
  const parentOf = (stat: string) => Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  return pids.filter((_, index) => parentOf(stats[index]!) === parent);
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
