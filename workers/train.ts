import { randomUUID } from 'node:crypto';
import { readConfig } from '../src/config.js';
import { HEARTBEAT_MS } from '../src/domain/run-state.js';
import { closeOnSignal, type OpenThings } from '../src/infra/close-on-signal.js';
import { connectDatabase } from '../src/infra/database.js';
import { createEventBus } from '../src/infra/events.js';
import { every } from '../src/infra/every.js';
import { createLogger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { migrateDatabase } from '../src/infra/migrate.js';
import { createObjectStore } from '../src/infra/objects.js';
import { createJobQueue, startJobWorker } from '../src/infra/queue.js';
import { removeFinishedCheckpoints } from '../src/runs/checkpoints.js';
import { RECOVER_EVERY_MS, recoverRuns } from '../src/runs/recover-runs.js';
import { retryOutage } from '../src/runs/retry-outage.js';
import { forgetWorkers, removeWorker, reportWorker } from '../src/runs/workers.js';
import { EngineSet } from '../src/training/select-engine.js';
import { answerHealth } from './training/answer-health.js';
import { executeRun } from './training/execute-run.js';

/** After SIGTERM, a server that is away is waited for no longer than this. */
const HURRY_AFTER_MS = 5_000;

let open: OpenThings | undefined;

/** Trains runs, one at a time. SIGTERM: the one under way goes back to the queue with a checkpoint. */
async function main(): Promise<void> {
  const config = readConfig();
  const log = createLogger(config.logLevel, { process: 'worker-train' });
  const metrics = createMetrics();
  const engines = new EngineSet(config.worker.threads);
  const { engine } = await engines.select({ engine: 'AUTO', precision: 'AUTO' });

  const [shutdown, hurry] = [new AbortController(), new AbortController()];
  const patiently = <T>(work: () => Promise<T>) =>
    retryOutage(work, shutdown.signal, (error) => log.warn({ err: error }, 'a server is away, trying again'));
  const redis = { ...config.redis, onError: (error: Error) => log.warn({ err: error }, 'redis') };
  const database = connectDatabase(config.database.url, { maxConnections: 4 });
  const objects = createObjectStore(config.objects);
  const queue = createJobQueue(redis);
  const events = createEventBus(redis);
  open = closeOnSignal(log, () => {
    shutdown.abort(new Error('the worker is shut down'));
    setTimeout(() => hurry.abort(shutdown.signal.reason), HURRY_AFTER_MS).unref();
  });
  open.add('database', () => database.$disconnect());
  open.add('events', () => events.close());
  open.add('queue', () => queue.close());
  await patiently(() => migrateDatabase(config.database.url));
  await patiently(() => objects.ensureBucket());

  const worker = {
    id: randomUUID(),
    host: config.worker.host,
    engine: engine.name,
    device: engine.device,
    threads: config.worker.threads,
    runId: null as string | null,
  };
  const report = () => reportWorker({ database }, worker);
  await patiently(report);
  // Before its first job: whoever reads a run's workerId finds the process by it.
  log.info({ workerId: worker.id, threads: config.worker.threads }, 'known');
  open.add('worker', () => removeWorker({ database }, worker.id));
  open.add('heartbeat', every(HEARTBEAT_MS, report, log));
  open.add('recovery', every(RECOVER_EVERY_MS, () => recoverRuns({ database, queue }), log));
  open.add('sweeping', every(6 * RECOVER_EVERY_MS, () => removeFinishedCheckpoints({ database, objects }), log));
  open.add('forgetting', every(6 * RECOVER_EVERY_MS, () => forgetWorkers({ database }), log));

  const deps = {
    database, objects, events, queue, engines, metrics, log,
    dataDir: config.dataDir,
    workerId: worker.id,
    onRun: (runId: string | null) => (worker.runId = runId),
    shutdown: shutdown.signal,
    hurry: hurry.signal,
  }; // prettier-ignore
  const jobs = startJobWorker(redis, 'train', ({ runId }) => executeRun(deps, runId));
  open.add('jobs', () => jobs.close());
  if (config.worker.http !== undefined) {
    const health = await answerHealth(
      config.worker.http,
      metrics,
      async () => void (await database.$queryRaw`SELECT 1`),
    );
    open.add('health', () => health.close());
  }
  await jobs.ready();
  log.info({ workerId: worker.id, engine: engine.name, device: engine.device }, 'ready');
}

main().catch((error: unknown) => {
  if (open?.closing) return;
  process.stderr.write(
    `residual: the training worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
