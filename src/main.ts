import { setTimeout as sleep } from 'node:timers/promises';
import { ApiKeyVerifier, ensureAdminKey } from './access/api-keys.js';
import { RequestRates } from './access/request-rates.js';
import { readConfig } from './config.js';
import { isOutage } from './errors.js';
import { createServer } from './graphql/server.js';
import { closeOnSignal } from './infra/close-on-signal.js';
import { connectDatabase } from './infra/database.js';
import { createEventBus } from './infra/events.js';
import { every } from './infra/every.js';
import { createLogger, type Logger } from './infra/log.js';
import { createMetrics } from './infra/metrics.js';
import { migrateDatabase } from './infra/migrate.js';
import { createObjectStore } from './infra/objects.js';
import { createJobQueue } from './infra/queue.js';
import { removeDeadScratch } from './infra/scratch.js';
import { importsRoot } from './registry/import-weights.js';
import { createPredictor } from './serving/predict.js';

/** The API process: read the configuration, build, listen, drain. */
async function main(): Promise<void> {
  const config = readConfig();
  const logger = createLogger(config.logLevel, { process: 'api' });
  process.on('uncaughtException', (error) => dieOf(error, logger));
  const metrics = createMetrics();
  const redis = { ...config.redis, onError: (error: Error) => logger.warn({ err: error }, 'redis') };

  const applied = await patiently('DATABASE_URL', () => migrateDatabase(config.database.url));
  for (const name of applied) logger.info({ name }, 'migrated');
  const database = connectDatabase(config.database.url);
  const objects = createObjectStore(config.objects);
  await patiently('S3_ENDPOINT', () => objects.ensureBucket());
  const queue = createJobQueue(redis);
  await patiently('REDIS_URL', () => queue.check());
  const events = createEventBus(redis);
  await removeDeadScratch(importsRoot(config.dataDir));
  if (config.adminKey !== undefined) await ensureAdminKey({ database }, config.adminKey);
  const keys = new ApiKeyVerifier(database);
  const predictor = createPredictor({
    database,
    objects,
    metrics,
    logger,
    cacheBytes: config.serving.cacheBytes,
    threads: config.serving.threads,
    maxPixels: config.images.maxPixels,
  });

  const rates = new RequestRates(config.http.requestsPerSecondPerKey);
  const services = { database, objects, queue, events, predictor, keys, rates, dataDir: config.dataDir };
  const server = await createServer({
    services,
    http: config.http,
    objectStore: config.objects.publicEndpoint,
    logger,
    metrics,
  });
  const open = closeOnSignal(logger);
  open.add('database', () => database.$disconnect());
  open.add('queue', () => queue.close());
  open.add('events', () => events.close());
  open.add('predictions', () => predictor.close());
  open.add('deleted models', every(FORGET_EVERY_MS, () => predictor.forgetDeleted(), logger));
  open.add('requests', () => server.close());
  const url = await server.listen();
  logger.info({ url }, 'listening');
}

const START_WAIT_MS = 10_000;
/** How long a deleted version may stay in memory. */
const FORGET_EVERY_MS = 5_000;

/**
 * A store that is starting is waited for; one that refuses us is not.
 * @param variable that says where it is, for the error
 */
async function patiently<T>(variable: string, attempt: () => Promise<T>): Promise<T> {
  for (const deadline = Date.now() + START_WAIT_MS; ; await sleep(300)) {
    try {
      return await attempt();
    } catch (error) {
      if (!isStarting(error) || Date.now() > deadline) throw new Error(variable, { cause: error });
    }
  }
}

const REFUSALS = /password|NOAUTH|WRONGPASS|refuses|does not let|has no database|Access ?Key|signature/i;

function isStarting(error: unknown): boolean {
  return isOutage(error) && !REFUSALS.test(reasonOf(error));
}

/** A fault that nobody caught leaves the process in no known state: whoever runs it starts another. */
function dieOf(error: Error, logger: Logger): never {
  logger.fatal({ err: error }, 'a fault that nobody caught');
  process.exit(1);
}

/** An error's own words and those of what caused it, on one line. */
function reasonOf(error: unknown): string {
  const words: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) words.push(cause.message);
  return [...new Set(words)].join(': ').replaceAll(/\s*\n\s*/g, ' ');
}

main().catch((error: unknown) => {
  process.stderr.write(`residual: the API cannot start: ${reasonOf(error) || String(error)}\n`);
  process.exit(1);
});
