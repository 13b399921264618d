import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createEventBus } from '../../src/infra/events.js';
import {
  bullPriority, createJobQueue, HandBackJob, MAX_PRIORITY, PostponeJob, startJobWorker, type JobQueue,
} from '../../src/infra/queue.js'; // prettier-ignore

// A Redis of its own: these tests stop it, kill it and start it again.
let folder: string;
let port: number;
let redis: ChildProcess;

async function startRedis() {
  redis = spawn('redis-server', ['--port', String(port), '--dir', folder, '--save', '', '--appendonly', 'yes']);
  await vi.waitUntil(() => canConnect(), { timeout: 10_000 });
}
async function canConnect(): Promise<boolean> {
  const { connect } = await import('node:net');
  const socket = connect(port, '127.0.0.1');
  const answer = await Promise.race([
    once(socket, 'connect').then(() => true),
    once(socket, 'error').then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}
async function stopRedis() {
  if (redis.exitCode !== null || redis.signalCode !== null) return;
  const ended = once(redis, 'exit');
  redis.kill('SIGKILL');
  await ended;
}
/** It is back whatever comes of `use`: the tests behind need it. */
async function withoutRedis(use: () => Promise<unknown>): Promise<void> {
  await stopRedis();
  try {
    await use();
  } finally {
    await startRedis();
  }
}
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port: free } = server.address() as { port: number };
  server.close();
  return free;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'residual-queue-'));
  port = await freePort();
  await startRedis();
});
afterAll(async () => {
  await stopRedis();
  await rm(folder, { recursive: true });
});

let names = 0;
const fresh = () => ({ url: `redis://127.0.0.1:${port}`, prefix: `test-${process.pid}-${names++}` });
const run = (runId: string) => ({ v: 1 as const, runId });

describe('jobs', () => {
  it('take larger priorities first and equal ones in order', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    const priorities = { a: 0, b: 5, c: -3, d: 0, e: MAX_PRIORITY, f: -MAX_PRIORITY };
    for (const [runId, priority] of Object.entries(priorities)) await queue.enqueue('train', run(runId), { priority });
    const order: string[] = [];
    const worker = startJobWorker(config, 'train', async ({ runId }) => void order.push(runId));
    await vi.waitUntil(() => order.length === 6, { timeout: 5_000 });
    expect(order).toEqual(['e', 'b', 'a', 'd', 'c', 'f']);
    await worker.close();
    await queue.close();
  });

  it('have priorities within what BullMQ takes', () => {
    expect(bullPriority(MAX_PRIORITY)).toBeGreaterThanOrEqual(1);
    expect(bullPriority(-MAX_PRIORITY)).toBeLessThan(2 ** 21);
  });

  it('are queued once however often they are put in, and again once they are done', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    for (let i = 0; i < 3; i++) await queue.enqueue('train', run('x'));
    expect(await queue.counts('train')).toEqual({ waiting: 1, active: 0 });
    let done = 0;
    const worker = startJobWorker(config, 'train', async () => void done++);
    await vi.waitUntil(async () => !(await queue.has('train', run('x'))), { timeout: 5_000 });
    await queue.enqueue('train', run('x'));
    await vi.waitUntil(() => done === 2, { timeout: 5_000 });
    await worker.close();
    await queue.close();
  });

  it('are taken out while they wait', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    await queue.enqueue('train', run('x'));
    expect(await queue.has('train', run('x'))).toBe(true);
    await queue.remove('train', run('x'));
    await queue.remove('train', run('x'));
    expect(await queue.has('train', run('x'))).toBe(false);
    await queue.close();
  });

  it('come back when they are postponed and when their handler throws', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    await queue.enqueue('train', run('x'));
    const faults = [new PostponeJob(100), new Error('the database is away')];
    let calls = 0;
    const worker = startJobWorker(config, 'train', async () => {
      const fault = faults[calls++];
      if (fault) throw fault;
    });
    await vi.waitUntil(() => calls === 3, { timeout: 10_000 });
    await worker.close();
    await queue.close();
  });

  it('go before all that wait with their priority when they are handed back, and behind them when postponed', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    for (const runId of ['handed back', 'postponed', 'waits']) await queue.enqueue('train', run(runId));
    await queue.enqueue('train', run('of less priority'), { priority: -1 });
    const faults = new Map<string, Error>([
      ['handed back', new HandBackJob()],
      ['postponed', new PostponeJob(0)],
    ]);
    const order: string[] = [];
    const worker = startJobWorker(config, 'train', async ({ runId }) => {
      order.push(runId);
      const fault = faults.get(runId);
      faults.delete(runId);
      if (fault) throw fault;
    });
    await vi.waitUntil(() => order.length === 6, { timeout: 10_000 });
    expect(order).toEqual(['handed back', 'handed back', 'postponed', 'waits', 'postponed', 'of less priority']);
    await worker.close();
    await queue.close();
  });

  it('have one handler in a process', async () => {
    const config = fresh();
    const worker = startJobWorker(config, 'train', async () => {});
    expect(() => startJobWorker(config, 'train', async () => {})).toThrow('two handlers');
    await worker.close();
  });

  it('survive a restart of Redis, and so does their worker', async () => {
    const config = fresh();
    const queue = createJobQueue(config);
    const seen: string[] = [];
    const worker = startJobWorker(config, 'train', async ({ runId }) => void seen.push(runId));
    await queue.enqueue('train', run('before'));
    await vi.waitUntil(() => seen.length === 1, { timeout: 5_000 });
    await withoutRedis(() => sleep(1_500));
    await vi.waitUntil(
      async () =>
        queue.enqueue('train', run('after')).then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    );
    await vi.waitUntil(() => seen.includes('after'), { timeout: 15_000 });
    await worker.close();
    await queue.close();
  });
});

describe('with Redis away, the queue says so within two seconds', () => {
  const refused = async (call: Promise<unknown>) => {
    const started = Date.now();
    await expect(call).rejects.toMatchObject({ code: 'SERVICE_UNAVAILABLE' });
    expect(Date.now() - started).toBeLessThan(2_500);
  };

  it('when it was killed, before the first job and after', async () => {
    const known = createJobQueue(fresh());
    await known.enqueue('train', run('x'));
    let fromTheStart!: JobQueue;
    await withoutRedis(async () => {
      fromTheStart = createJobQueue(fresh());
      await Promise.all([
        refused(known.enqueue('train', run('y'))),
        refused(known.check()),
        refused(fromTheStart.enqueue('train', run('z'))),
        refused(fromTheStart.counts('train')),
      ]);
    });
    for (const queue of [known, fromTheStart]) {
      await vi.waitUntil(
        async () =>
          queue.enqueue('train', run('again')).then(
            () => true,
            () => false,
          ),
        { timeout: 10_000 },
      );
      await queue.close();
    }
  });

  it('when it hangs', async () => {
    const known = createJobQueue(fresh());
    await known.enqueue('train', run('x'));
    redis.kill('SIGSTOP');
    try {
      await Promise.all([
        refused(known.enqueue('train', run('y'))),
        refused(known.check()),
        refused(createJobQueue(fresh()).check()),
      ]);
    } finally {
      redis.kill('SIGCONT');
    }
    await vi.waitUntil(
      async () =>
        known.check().then(
          () => true,
          () => false,
        ),
      { timeout: 10_000 },
    );
    await known.close();
  });

  it.each(['before', 'while'])('and closing a queue or a worker neither hangs nor throws: gone %s', async (when) => {
    const config = fresh();
    const queue = createJobQueue(config);
    await queue.check();
    const worker = startJobWorker(config, 'train', async () => {});
    await worker.ready();
    const close = async () => {
      const started = Date.now();
      await Promise.all([queue.close(), worker.close()]);
      expect(Date.now() - started).toBeLessThan(5_000);
    };
    const closed = when === 'while' ? close() : undefined;
    await withoutRedis(async () => closed ?? close());
  });
});

describe('events', () => {
  const collect = async (events: AsyncIterable<unknown>, into: unknown[]) => {
    for await (const event of events) into.push(event);
  };

  /** How many there are, by Redis itself: news that is published before that is lost. */
  async function subscriptions(): Promise<number> {
    const client = new Redis(port, '127.0.0.1');
    try {
      const channels = (await client.pubsub('CHANNELS', '*')) as string[];
      if (channels.length === 0) return 0;
      const counts = (await client.pubsub('NUMSUB', ...channels)) as (string | number)[];
      return counts.filter((_, index) => index % 2 === 1).reduce<number>((sum, count) => sum + Number(count), 0);
    } finally {
      client.disconnect();
    }
  }

  it('reach each subscriber of their channel and prefix, and nobody else', async () => {
    const config = fresh();
    const [here, there, stranger] = [createEventBus(config), createEventBus(config), createEventBus(fresh())];
    const stop = new AbortController();
    const got: unknown[][] = [[], [], [], []];
    const readers = [
      collect(here.subscribe('run:1', stop.signal), got[0]!),
      collect(there.subscribe('run:1', stop.signal), got[1]!),
      collect(there.subscribe('run:2', stop.signal), got[2]!),
      collect(stranger.subscribe('run:1', stop.signal), got[3]!),
    ];
    await vi.waitUntil(async () => (await subscriptions()) === 4, { timeout: 10_000 });
    await here.publish('run:1', { step: 1 });
    await here.publish('run:1', { step: 2 });
    await vi.waitUntil(() => got[0]!.length === 2 && got[1]!.length === 2, { timeout: 5_000 });
    expect(got).toEqual([[{ step: 1 }, { step: 2 }], [{ step: 1 }, { step: 2 }], [], []]);
    stop.abort();
    await Promise.all(readers);
    for (const bus of [here, there, stranger]) await bus.close();
  });

  it('go on after a restart of Redis; publishing meanwhile does not throw', async () => {
    const bus = createEventBus(fresh());
    const got: unknown[] = [];
    const reader = collect(bus.subscribe('run:1', new AbortController().signal), got);
    await withoutRedis(() => bus.publish('run:1', 'lost'));
    await vi.waitUntil(async () => (await bus.publish('run:1', 'again'), got.length > 0), {
      timeout: 10_000,
      interval: 200,
    });
    expect(got[0]).toBe('again');
    await bus.close();
    await reader;
  });
});
