import type { FastifyInstance } from 'fastify';
import type { Metrics } from '../infra/metrics.js';
import { trainingRate } from '../runs/training-rate.js';
import type { Services } from './context.js';

/** What operators ask of the process: alive, ready, and how it does. None of it needs a key. */
export interface OperationsOptions {
  readonly services: Stores;
  readonly metrics: Metrics;
}

export type Stores = Pick<Services, 'database' | 'queue' | 'objects'>;

const PART_DEADLINE_MS = 2_500;

export function registerOperations(app: FastifyInstance, { services, metrics }: OperationsOptions): void {
  app.get('/healthz', async () => ({ status: 'ok' }));

  app.get('/readyz', async (_request, reply) => {
    const parts = await checkParts(services);
    const ready = allAnswer(parts);
    return reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'unavailable', parts });
  });

  app.get('/metrics', async (_request, reply) => {
    await within(PART_DEADLINE_MS, refresh(metrics, services)).catch(() => undefined);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
}

/** Whether every store answers. */
export const isReady = async (services: Stores): Promise<boolean> => allAnswer(await checkParts(services));

const allAnswer = (parts: Record<string, string>) => Object.values(parts).every((state) => state === 'ok');

async function checkParts({ database, queue, objects }: Stores): Promise<Record<string, string>> {
  const [databaseState, queueState, objectsState] = await Promise.all([
    stateOf(() => database.$queryRaw`SELECT 1`),
    stateOf(() => queue.check()),
    stateOf(() => objects.check()),
  ]);
  return { database: databaseState, queue: queueState, objects: objectsState };
}

/** Why it does not answer is for the log of the part itself: this page is open to everybody. */
async function stateOf(check: () => PromiseLike<unknown>): Promise<'ok' | 'unavailable'> {
  try {
    await within(PART_DEADLINE_MS, check());
    return 'ok';
  } catch {
    return 'unavailable';
  }
}

/** What is not counted as it happens is looked up when somebody asks; a store that is away leaves the last figures. */
async function refresh({ queueDepth, trainingImagesPerSecond }: Metrics, { database, queue }: Stores): Promise<void> {
  for (const name of ['train', 'validate-dataset', 'quantize-version'] as const) {
    const counts = await queue.counts(name);
    for (const [state, jobs] of Object.entries(counts)) queueDepth.set({ queue: name, state }, jobs);
  }
  trainingImagesPerSecond.set(await trainingRate({ database }));
}

async function within<T>(milliseconds: number, work: PromiseLike<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
