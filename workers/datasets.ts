import { readConfig } from '../src/config.js';
import { recoverDatasets } from '../src/datasets/recover-datasets.js';
import { spoolRoot } from '../src/datasets/spool-uploads.js';
import { removeStrayUploads } from '../src/datasets/stray-uploads.js';
import { validateDataset } from '../src/datasets/validate-dataset.js';
import { isOutage } from '../src/errors.js';
import { closeOnSignal } from '../src/infra/close-on-signal.js';
import { connectDatabase } from '../src/infra/database.js';
import { every } from '../src/infra/every.js';
import { createLogger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { createObjectStore } from '../src/infra/objects.js';
import { createJobQueue, HandBackJob, PostponeJob, startJobWorker, type JobHandler } from '../src/infra/queue.js';
import { removeDeadScratch } from '../src/infra/scratch.js';
import { answerHealth } from './training/answer-health.js';

const RECOVER_EVERY_MS = 10_000;
const TIDY_EVERY_MS = 3_600_000;
const OUTAGE_DELAY_MS = 2_000;

/** Validates data sets, one at a time. SIGTERM: the one under way goes back to the queue as it was. */
async function main(): Promise<void> {
  const config = readConfig();
  const logger = createLogger(config.logLevel, { process: 'worker-datasets' });
  const redis = { ...config.redis, onError: (error: Error) => logger.warn({ err: error }, 'queue') };
  const database = connectDatabase(config.database.url);
  const queue = createJobQueue(redis);
  const deps = {
    database,
    objects: createObjectStore(config.objects),
    dataDir: config.dataDir,
    maxBytes: config.datasets.maxBytes,
    maxPixels: config.images.maxPixels,
  };
  await removeDeadScratch(spoolRoot(config.dataDir));

  const stopping = new AbortController();
  const handler: JobHandler<'validate-dataset'> = async ({ datasetId }, { signal }) => {
    const log = logger.child({ datasetId });
    const startedAt = Date.now();
    try {
      await validateDataset(deps, datasetId, AbortSignal.any([signal, stopping.signal]));
      log.info({ seconds: (Date.now() - startedAt) / 1_000 }, 'validated');
    } catch (error) {
      if (stopping.signal.aborted) throw new HandBackJob();
      if (!isOutage(error)) throw error;
      log.warn({ err: error }, 'a server is away');
      throw new PostponeJob(OUTAGE_DELAY_MS);
    }
  };
  const worker = startJobWorker(redis, 'validate-dataset', handler);
  const recover = async () => {
    const recovered = await recoverDatasets({ database, queue });
    if (recovered > 0) logger.warn({ recovered }, 'put lost jobs back in the queue');
  };
  const tidy = async () => {
    const removed = await removeStrayUploads(deps);
    if (removed > 0) logger.info({ removed }, 'removed uploads that nobody will read');
  };
  const open = closeOnSignal(logger, () => stopping.abort());
  open.add('database', () => database.$disconnect());
  open.add('queue', () => queue.close());
  open.add('jobs', () => worker.close());
  open.add('recovery', every(RECOVER_EVERY_MS, recover, logger));
  open.add('tidying', every(TIDY_EVERY_MS, tidy, logger));
  const { http } = config.worker;
  const health = http === undefined ? null : await answerHealth(http, createMetrics(), () => queue.check());
  if (health) open.add('health', () => health.close());
  await worker.ready();
  logger.info('ready');
}

main().catch((error: unknown) => {
  process.stderr.write(
    `residual: the data set worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
