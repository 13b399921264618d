import { readConfig } from '../src/config.js';
import { isOutage } from '../src/errors.js';
import { closeOnSignal } from '../src/infra/close-on-signal.js';
import { connectDatabase } from '../src/infra/database.js';
import { every } from '../src/infra/every.js';
import { createLogger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { createObjectStore } from '../src/infra/objects.js';
import { createJobQueue, HandBackJob, PostponeJob, startJobWorker, type JobHandler } from '../src/infra/queue.js';
import { quantizeVersion } from '../src/quantization/quantize-version.js';
import { recoverQuantizations } from '../src/quantization/recover-quantizations.js';
import { Session } from '../src/serving/session.js';
import { answerHealth } from './training/answer-health.js';

const RECOVER_EVERY_MS = 10_000;
const OUTAGE_DELAY_MS = 2_000;

/** Quantises versions, one at a time. SIGTERM: the one under way goes back to the queue as it was. */
async function main(): Promise<void> {
  const config = readConfig();
  const logger = createLogger(config.logLevel, { process: 'worker-quantize' });
  const redis = { ...config.redis, onError: (error: Error) => logger.warn({ err: error }, 'queue') };
  const database = connectDatabase(config.database.url, { maxConnections: 2 });
  const queue = createJobQueue(redis);
  const { threads, http } = config.worker;
  const deps = {
    database,
    objects: createObjectStore(config.objects),
    dataDir: config.dataDir,
    open: (onnx: Uint8Array, output: string) => Session.open(onnx, { threads, output }),
  };

  const stopping = new AbortController();
  const handler: JobHandler<'quantize-version'> = async ({ versionId }, { signal }) => {
    const log = logger.child({ versionId });
    const startedAt = Date.now();
    try {
      const succeeded = await quantizeVersion(deps, versionId, AbortSignal.any([signal, stopping.signal]));
      log.info({ succeeded, seconds: (Date.now() - startedAt) / 1_000 }, 'over');
    } catch (error) {
      if (stopping.signal.aborted) throw new HandBackJob();
      log.warn({ err: error }, 'will be tried again');
      if (!isOutage(error)) throw error;
      throw new PostponeJob(OUTAGE_DELAY_MS);
    }
  };
  const worker = startJobWorker(redis, 'quantize-version', handler);
  const open = closeOnSignal(logger, () => stopping.abort());
  open.add('database', () => database.$disconnect());
  open.add('queue', () => queue.close());
  open.add('jobs', () => worker.close());
  open.add('recovery', every(RECOVER_EVERY_MS, () => recoverQuantizations({ database, queue }), logger));
  const health = http === undefined ? null : await answerHealth(http, createMetrics(), () => queue.check());
  if (health) open.add('health', () => health.close());
  await worker.ready();
  logger.info('ready');
}

main().catch((error: unknown) => {
  process.stderr.write(
    `residual: the quantisation worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
