import { readConfig } from '../src/config.js';
import { closeOnSignal } from '../src/infra/close-on-signal.js';
import { connectDatabase } from '../src/infra/database.js';
import { createEventBus } from '../src/infra/events.js';
import { every } from '../src/infra/every.js';
import { createLogger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { createJobQueue } from '../src/infra/queue.js';
import { advanceSweeps } from '../src/sweeps/advance-sweep.js';
import { answerHealth } from './training/answer-health.js';

/** A worker that trains idles for no longer than this before it is given a trial that was promoted. */
const LOOK_EVERY_MS = 500;

/**
 * Decides what becomes of the trials of sweeps: looks at the rows, again and again. There is no job that could get lost
 * and nothing in memory that could be; any number of these may run, and none of them need.
 */
async function main(): Promise<void> {
  const config = readConfig();
  const log = createLogger(config.logLevel, { process: 'worker-sweeps' });
  const redis = { ...config.redis, onError: (error: Error) => log.warn({ err: error }, 'redis') };
  const database = connectDatabase(config.database.url, { maxConnections: 2 });
  const queue = createJobQueue(redis);
  const events = createEventBus(redis);
  const open = closeOnSignal(log);
  open.add('database', () => database.$disconnect());
  open.add('queue', () => queue.close());
  open.add('events', () => events.close());
  const look = () =>
    advanceSweeps({ database, queue, events }, (sweepId, { promoted, dropped, ended }) =>
      log.info({ sweepId, promoted: promoted.map(({ id }) => id), dropped, ended }, 'advanced'),
    );
  open.add('looking', every(LOOK_EVERY_MS, look, log));
  const { http } = config.worker;
  const health =
    http && (await answerHealth(http, createMetrics(), async () => void (await database.$queryRaw`SELECT 1`)));
  if (health) open.add('health', () => health.close());
  log.info('ready');
}

main().catch((error: unknown) => {
  process.stderr.write(
    `residual: the sweep worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
