import { readConfig } from '../src/config.js';
import { recoverDatasets } from '../src/datasets/recover-datasets.js';
import { removeDeadSpools } from '../src/datasets/spool-uploads.js';
import { validateDataset } from '../src/datasets/validate-dataset.js';
import { isOutage } from '../src/errors.js';
import { connectDatabase } from '../src/infra/database.js';
import { createLogger, type Logger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { createObjectStore } from '../src/infra/objects.js';
import { createJobQueue, PostponeJob, startJobWorker, type JobHandler } from '../src/infra/queue.js';
import { answerHealth } from './training/answer-health.js';

const RECOVER_EVERY_MS = 10_000;
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
  await removeDeadSpools(config.dataDir);

  const stopping = new AbortController();
  const handler: JobHandler<'validate-dataset'> = async ({ datasetId }, { signal }) => {
    const log = logger.child({ datasetId });
    const startedAt = Date.now();
    try {
      await validateDataset(deps, datasetId, AbortSignal.any([signal, stopping.signal]));
      log.info({ seconds: (Date.now() - startedAt) / 1_000 }, 'validated');
    } catch (error) {
      if (stopping.signal.aborted) throw new PostponeJob(0);
      if (!isOutage(error)) throw error;
      log.warn({ err: error }, 'a server is away');
      throw new PostponeJob(OUTAGE_DELAY_MS);
    }
  };
  const worker = startJobWorker(redis, 'validate-dataset', handler);
  const recover = () =>
    recoverDatasets({ database, queue }).then(
      (recovered) => recovered > 0 && logger.warn({ recovered }, 'put lost jobs back in the queue'),
      (error: unknown) => logger.warn({ err: error }, 'cannot look for lost jobs'),
    );
  void recover();
  const recovery = setInterval(recover, RECOVER_EVERY_MS);
  const { http } = config.worker;
  const health = http === undefined ? null : await answerHealth(http, createMetrics(), () => queue.check());
  stopOnSignal(logger, [
    async () => stopping.abort(),
    async () => health?.close(),
    async () => clearInterval(recovery),
    () => worker.close(),
    () => queue.close(),
    () => database.$disconnect(),
  ]);
  await worker.ready();
  logger.info('ready');
}

/** In order, each step whether or not the one before it failed. A second signal ends the process at once. */
function stopOnSignal(logger: Logger, steps: readonly (() => Promise<unknown>)[]): void {
  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    logger.info({ signal }, 'stopping');
    for (const step of steps)
      await step().catch((error: unknown) => logger.error({ err: error }, 'a step of stopping failed'));
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, (received) => void stop(received));
}

main().catch((error: unknown) => {
  process.stderr.write(
    `residual: the data set worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
