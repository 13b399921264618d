import { randomUUID } from 'node:crypto';
import { readConfig } from '../src/config.js';
import { HEARTBEAT_MS } from '../src/domain/run-state.js';
import { connectDatabase } from '../src/infra/database.js';
import { createEventBus } from '../src/infra/events.js';
import { createLogger, type Logger } from '../src/infra/log.js';
import { createMetrics } from '../src/infra/metrics.js';
import { migrateDatabase } from '../src/infra/migrate.js';
import { createObjectStore } from '../src/infra/objects.js';
import { createJobQueue, startJobWorker } from '../src/infra/queue.js';
import { removeFinishedCheckpoints } from '../src/runs/checkpoints.js';
import { RECOVER_EVERY_MS, recoverRuns } from '../src/runs/recover-runs.js';
import { retryOutage } from '../src/runs/retry-outage.js';
import { removeWorker, reportWorker } from '../src/runs/workers.js';
import { EngineSet } from '../src/training/select-engine.js';
import { answerHealth } from './training/answer-health.js';
import { executeRun } from './training/execute-run.js';

/** After SIGTERM, a server that is away is waited for no longer than this. */
const HURRY_AFTER_MS = 5_000;

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
  const closing: Step[] = [];
  stopOnSignal(log, closing, () => {
    shutdown.abort(new Error('the worker is shut down'));
    setTimeout(() => hurry.abort(shutdown.signal.reason), HURRY_AFTER_MS).unref();
  });
  closing.push(
    () => database.$disconnect(),
    () => events.close(),
    () => queue.close(),
  );
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
  closing.push(() => removeWorker({ database }, worker.id));
  closing.push(every(HEARTBEAT_MS, report, log));
  closing.push(every(RECOVER_EVERY_MS, () => recoverRuns({ database, queue }), log));
  closing.push(every(6 * RECOVER_EVERY_MS, () => removeFinishedCheckpoints({ database, objects }), log));

  const deps = {
    database, objects, events, engines, metrics, log,
    dataDir: config.dataDir,
    workerId: worker.id,
    onRun: (runId: string | null) => (worker.runId = runId),
    shutdown: shutdown.signal,
    hurry: hurry.signal,
  }; // prettier-ignore
  const jobs = startJobWorker(redis, 'train', ({ runId }) => executeRun(deps, runId));
  closing.push(() => jobs.close());
  if (config.worker.http !== undefined) {
    const health = await answerHealth(
      config.worker.http,
      metrics,
      async () => void (await database.$queryRaw`SELECT 1`),
    );
    closing.push(() => health.close());
  }
  await jobs.ready();
  log.info({ workerId: worker.id, engine: engine.name, device: engine.device }, 'ready');
}

type Step = () => Promise<unknown>;

let stopping = false;

/** Does `work` at once and then again and again, one at a time. @returns what ends it */
function every(milliseconds: number, work: () => Promise<unknown>, log: Logger): Step {
  let running = Promise.resolve();
  let busy = false;
  const tick = () => {
    if (busy) return;
    busy = true;
    running = work()
      .then(undefined, (error: unknown) => log.warn({ err: error }, 'will be tried again'))
      .then(() => void (busy = false));
  };
  tick();
  const timer = setInterval(tick, milliseconds);
  return async () => {
    clearInterval(timer);
    await running;
  };
}

/** What was opened last is closed first, each step even if the one before failed. A second signal ends at once. */
function stopOnSignal(log: Logger, steps: Step[], begin: () => void): void {
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) process.exit(1);
    stopping = true;
    log.info({ signal }, 'stopping');
    begin();
    for (const step of steps.toReversed())
      await step().catch((error: unknown) => log.error({ err: error }, 'a step of stopping failed'));
    log.info('stopped');
    process.exit(0);
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, (received) => void stop(received));
}

main().catch((error: unknown) => {
  if (stopping) return;
  process.stderr.write(
    `residual: the training worker cannot start: ${error instanceof Error ? error.message : String(error)}\n`,
  );
  process.exit(1);
});
