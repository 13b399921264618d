import { startObjects, type ObjectsAccess } from './objects.js';
import { startPostgres } from './postgres.js';
import { startRedis } from './redis.js';
import type { ServerProcess } from './server-process.js';

/** The servers that the caller has already; each of the others is started. */
export interface GivenServers {
  readonly databaseUrl?: string | undefined;
  readonly redisUrl?: string | undefined;
  readonly objects?: ObjectsAccess | undefined;
}

export interface Stack {
  readonly databaseUrl: string;
  readonly redisUrl: string;
  readonly objects: ObjectsAccess;
  /** Resolves if one of the started servers ends without having been asked to: which, how, and where its log is. */
  readonly failed: Promise<string>;
  /** In order: objects, Redis, PostgreSQL. Each step is taken even if one before it fails. */
  stop(): Promise<void>;
}

/**
 * Starts what is not given, with its data under `dataDir`, and returns when all of it answers. If one does not start,
 * those that did are stopped.
 * @param durable false: PostgreSQL may lose data in a power cut, for tests
 * @throws ResidualError SERVICE_UNAVAILABLE
 */
export async function startStack(dataDir: string, given: GivenServers = {}, durable = true): Promise<Stack> {
  const started = await Promise.allSettled([
    given.databaseUrl ? { url: given.databaseUrl } : startPostgres(dataDir, durable),
    given.redisUrl ? { url: given.redisUrl } : startRedis(dataDir),
    given.objects ?? startObjects(dataDir),
  ]);
  const servers = started.flatMap((result) =>
    result.status === 'fulfilled' && 'stop' in result.value ? [result.value as ServerProcess] : [],
  );
  const [postgres, redis, objects] = started;
  if (postgres.status === 'fulfilled' && redis.status === 'fulfilled' && objects.status === 'fulfilled')
    return {
      databaseUrl: postgres.value.url,
      redisUrl: redis.value.url,
      objects: accessOnly(objects.value),
      ...lifetime(servers),
    };
  await lifetime(servers).stop();
  throw started.find((result) => result.status === 'rejected')?.reason;
}

const accessOnly = ({ endpoint, accessKey, secretKey }: ObjectsAccess) => ({ endpoint, accessKey, secretKey });

function lifetime(servers: readonly ServerProcess[]): Pick<Stack, 'failed' | 'stop'> {
  let stopping = false;
  const failed = new Promise<string>((resolve) => {
    for (const { name, logFile, ended } of servers)
      void ended.then((how) => stopping || resolve(`${name} ended (${how}); its log: ${logFile}`));
  });
  const stop = async () => {
    stopping = true;
    for (const server of servers.toReversed()) await server.stop().catch(() => undefined);
  };
  return { failed, stop };
}
