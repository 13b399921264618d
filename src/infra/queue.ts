import { DelayedError, Queue, WaitingError, Worker, type Job } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import { unavailable } from '../errors.js';
import { JOBS, type JobName, type JobPayload } from '../jobs.js';

/**
 * Jobs over BullMQ. A job carries an id and nothing else; the row with that id is the truth, so losing every job loses
 * no work: the `recover…` use cases put them back. One queue per job name, keys under `<prefix>:jobs`.
 */
export interface RedisConfig {
  readonly url: string;
  /** Put before every key and channel. */
  readonly prefix: string;
  /** Is told of each failure of the connection; they all mend themselves. */
  readonly onError?: ((error: Error) => void) | undefined;
}

/** A caller of the API waits no longer than this for Redis. */
const DEADLINE_MS = 2_000;
const CONNECT_WAIT_MS = 1_500;

/** While Redis is away, a `bounded` connection fails a command within 1.5 s, a `patient` one waits for its return. */
export function connectRedis(url: string, manner: 'bounded' | 'patient'): Redis {
  const reconnect: RedisOptions = {
    connectTimeout: CONNECT_WAIT_MS,
    retryStrategy: (attempt) => Math.min(100 * attempt, 1_000),
  };
  return manner === 'bounded'
    ? new Redis(url, {
        ...reconnect,
        enableOfflineQueue: false,
        maxRetriesPerRequest: 1,
        commandTimeout: CONNECT_WAIT_MS,
      })
    : new Redis(url, { ...reconnect, maxRetriesPerRequest: null });
}

/** A finished job leaves the queue, so there is nothing else to count. */
export interface QueueCounts {
  readonly waiting: number;
  readonly active: number;
}

/** BullMQ runs 0 first of all, then 1, 2, 3 …; ours runs larger numbers first, so every job gets one from 1 up. */
const MIDDLE_PRIORITY = 2 ** 20;
/** Priorities lie in [-MAX_PRIORITY, MAX_PRIORITY]; BullMQ's end at 2^21. */
export const MAX_PRIORITY = 1_000_000;
export const bullPriority = (priority: number) => MIDDLE_PRIORITY - priority;

/** Retries of a job whose handler threw: 0.5 s, 1 s, 2 s … 30 s. */
const backoff = (attemptsMade: number) => Math.min(30_000, 500 * 2 ** (attemptsMade - 1));
/** After these (about four minutes) the job is dropped, and the row's recovery queues it anew. */
const ATTEMPTS = 12;

/** The producing side. Every method answers or throws SERVICE_UNAVAILABLE within two seconds. */
export class JobQueue {
  private readonly redis: Redis;
  private readonly queues = new Map<JobName, Queue>();

  constructor(private readonly config: RedisConfig) {
    this.redis = connectRedis(config.url, 'bounded');
    this.redis.on('error', (error) => config.onError?.(error));
  }

  /** Queueing what is queued or running already changes nothing. `priority`: larger first, at most MAX_PRIORITY. */
  async enqueue<N extends JobName>(name: N, payload: JobPayload<N>, { priority = 0 } = {}): Promise<void> {
    await this.ask(name, (queue) =>
      queue.add(name, payload, {
        jobId: jobId(name, payload),
        priority: bullPriority(priority),
        attempts: ATTEMPTS,
        backoff: { type: 'custom' },
        // A finished job goes, so that its id can be queued again.
        removeOnComplete: true,
        removeOnFail: true,
      }),
    );
  }

  /** Takes a waiting job out; one that a worker has stays. */
  async remove<N extends JobName>(name: N, payload: JobPayload<N>): Promise<void> {
    await this.ask(name, (queue) => queue.remove(jobId(name, payload)));
  }

  /** Whether the job waits or runs. */
  async has<N extends JobName>(name: N, payload: JobPayload<N>): Promise<boolean> {
    return this.ask(name, async (queue) => (await queue.getJob(jobId(name, payload))) !== undefined);
  }

  async counts(name: JobName): Promise<QueueCounts> {
    const {
      wait = 0,
      prioritized = 0,
      delayed = 0,
      active = 0,
    } = await this.ask(name, (queue) => queue.getJobCounts('wait', 'prioritized', 'delayed', 'active'));
    return { waiting: wait + prioritized + delayed, active };
  }

  /** @throws SERVICE_UNAVAILABLE where Redis does not answer. */
  async check(): Promise<void> {
    await this.bounded(async () => this.redis.ping());
  }

  async close(): Promise<void> {
    for (const queue of this.queues.values()) await quietly(queue.close());
    this.queues.clear();
    this.redis.disconnect();
  }

  private ask<T>(name: JobName, use: (queue: Queue) => Promise<T>): Promise<T> {
    return this.bounded(async () => use(await this.queue(name)));
  }

  /** A `Queue` that starts on a dead connection stays dead for good, so it is made once there is a live one. */
  private async queue(name: JobName): Promise<Queue> {
    const known = this.queues.get(name);
    if (known) return known;
    const queue = new Queue(name, { connection: this.redis, prefix: keyPrefix(this.config), skipMetasUpdate: true });
    queue.on('error', (error) => this.config.onError?.(error));
    this.queues.set(name, queue);
    try {
      await queue.waitUntilReady();
    } catch (error) {
      this.queues.delete(name);
      await quietly(queue.close());
      throw error;
    }
    return queue;
  }

  private async bounded<T>(use: () => Promise<T>): Promise<T> {
    try {
      return await deadline(DEADLINE_MS, ready(this.redis).then(use));
    } catch (error) {
      throw unavailable('the queue does not answer', error);
    }
  }
}

export const createJobQueue = (config: RedisConfig) => new JobQueue(config);

/** What a handler throws to have its job go on elsewhere, before all that wait with its priority. Not a failure. */
export class HandBackJob extends Error {
  override readonly name = 'HandBackJob';
}

/** What a handler throws to have its job come back after `delayMs`, behind those that wait by then. Not a failure. */
export class PostponeJob extends Error {
  override readonly name = 'PostponeJob';
  constructor(readonly delayMs: number) {
    super(`put back for ${delayMs} ms`);
  }
}

export interface JobContext {
  readonly jobId: string;
  /** Aborted when the job is cancelled at the queue. */
  readonly signal: AbortSignal;
}
export type JobHandler<N extends JobName> = (payload: JobPayload<N>, context: JobContext) => Promise<void>;

export interface JobWorker {
  /** Resolves once the worker takes jobs. */
  ready(): Promise<void>;
  /** Takes no further job, waits for the running ones, never throws. */
  close(): Promise<void>;
}

const handled = new Set<string>();

/**
 * Takes jobs of one name until closed, over any restart of Redis. A payload that does not parse is dropped and told to
 * `onError`; a handler's error brings the job back after a growing delay.
 * @throws where this process already has a handler for `name`.
 */
export function startJobWorker<N extends JobName>(
  config: RedisConfig,
  name: N,
  handler: JobHandler<N>,
  { concurrency = 1 } = {},
): JobWorker {
  const key = `${keyPrefix(config)}:${name}`;
  if (!(name in JOBS)) throw new Error(`job ${name} is not in the catalogue`);
  if (handled.has(key)) throw new Error(`job ${name} has two handlers`);
  handled.add(key);
  const redis = connectRedis(config.url, 'patient');
  redis.on('error', (error) => config.onError?.(error));
  // BullMQ makes a signal only for a processor that declares three parameters.
  const processor = async (job: Job, token: string | undefined, signal: AbortSignal | undefined): Promise<void> => {
    const parsed = JOBS[name].payload.safeParse(job.data);
    if (!parsed.success)
      return config.onError?.(new Error(`job ${job.id}: payload not understood: ${parsed.error.message}`));
    try {
      await handler(parsed.data as JobPayload<N>, { jobId: job.id!, signal: signal ?? new AbortController().signal });
    } catch (error) {
      if (error instanceof HandBackJob) {
        await job.moveToWait(token);
        throw new WaitingError();
      }
      if (!(error instanceof PostponeJob)) throw error;
      await job.moveToDelayed(Date.now() + error.delayMs, token);
      throw new DelayedError();
    }
  };
  const worker = new Worker(name, processor, {
    connection: redis,
    prefix: keyPrefix(config),
    concurrency,
    lockDuration: JOBS[name].lockDurationMs,
    stalledInterval: JOBS[name].stalledIntervalMs,
    maxStalledCount: JOBS[name].maxStalledCount,
    runRetryDelay: 1_000,
    drainDelay: 2,
    settings: { backoffStrategy: backoff },
  });
  worker.on('error', (error) => config.onError?.(error));
  worker.on('failed', (_job, error) => config.onError?.(error));
  return {
    ready: async () => void (await worker.waitUntilReady()),
    close: async () => {
      const closed = new AbortController();
      // With Redis away BullMQ waits for it; the jobs are then found as stalled by another worker.
      await Promise.race([quietly(worker.close()), stayedAway(redis, DEADLINE_MS, closed.signal)]);
      closed.abort();
      redis.disconnect();
      handled.delete(key);
    },
  };
}

function jobId<N extends JobName>(name: N, payload: JobPayload<N>): string {
  return (JOBS[name].jobId as (payload: JobPayload<N>) => string)(payload);
}

const keyPrefix = ({ prefix }: RedisConfig) => `${prefix}:jobs`;

/** Waits for a connection that is being made, but not for long; then says why there is none: a wrong password. */
async function ready(redis: Redis): Promise<void> {
  if (redis.status === 'ready') return;
  if (redis.status === 'end') throw new Error('the connection is closed');
  let onReady: (() => void) | undefined;
  let refusal: Error | undefined;
  const onError = (error: Error) => (refusal = error);
  redis.on('error', onError);
  try {
    await deadline(CONNECT_WAIT_MS, new Promise<void>((resolve) => redis.once('ready', (onReady = resolve))));
  } catch (late) {
    throw refusal ?? late;
  } finally {
    redis.off('error', onError);
    if (onReady) redis.off('ready', onReady);
  }
}

/** Resolves once there has been no connection for `milliseconds` without a break, unless `signal` is aborted before. */
function stayedAway(redis: Redis, milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout | undefined;
    const onClose = () => (timer ??= setTimeout(resolve, milliseconds));
    const onReady = () => (timer = void clearTimeout(timer));
    redis.on('close', onClose).on('ready', onReady);
    signal.addEventListener('abort', () => {
      redis.off('close', onClose).off('ready', onReady);
      onReady();
    });
    if (redis.status !== 'ready') onClose();
  });
}

async function deadline<T>(milliseconds: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** For closing, where there is nobody left to tell. */
async function quietly(promise: Promise<unknown>): Promise<void> {
  await promise.catch(() => undefined);
}
