import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { chance } from '../helpers/chance.js';
import { startFaultyServers, type FaultyServers } from '../helpers/faulty-servers.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { expectArtifactsWhole, StubbornClient, suffer, type Fault } from '../helpers/rough-hour.js';
import { defineTiny, uploadShapes } from '../helpers/training.js';

// A machine busy with other tests must not be taken for a fault.
vi.setConfig({ testTimeout: 300_000 });

/** `npm run soak` sets it: so long, with longer faults, at random. */
const SOAK_MINUTES = Number(process.env['SOAK_MINUTES'] ?? 0);
const MANNERS = ['frozen', 'killed'] as const;
/** Longer than a worker may be silent (4 s), than the lock of a job lasts (6 s), than the store is waited for (5 s). */
const FROZEN_SECONDS = { PostgreSQL: 5, Redis: 7, 'the object store': 6 };

let servers: FaultyServers;
let platform: TestPlatform;
/** What a run of these comes to when nothing happens. */
let undisturbed: unknown;

beforeAll(async () => {
  servers = await startFaultyServers();
  platform = await startPlatform({ workers: ['datasets', 'train'], env: { TRAINING_THREADS: '1' }, servers: servers.addresses });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  const client = new StubbornClient(platform, 'undisturbed');
  client.startRun();
  [undisturbed] = await client.outcomes(60_000);
});
afterAll(async () => {
  await platform.stop();
  await servers.stop();
});

async function expectAllAsUndisturbed(client: StubbornClient, timeoutMs: number): Promise<void> {
  for (const outcome of await client.outcomes(timeoutMs)) expect(outcome).toEqual(undisturbed);
  await expectArtifactsWhole(platform);
}

it('runs are neither lost nor doubled while each server is frozen, or killed, in turn, and each ends as if undisturbed', async () => {
  const client = new StubbornClient(platform, 'training');
  client.startRun();
  for (const server of servers.all)
    for (const manner of MANNERS) {
      client.startRun();
      await suffer({ server, manner, seconds: manner === 'frozen' ? FROZEN_SECONDS[server.name] : 2 }, async () => client.startRun());
      await sleep(500);
    }
  await expectAllAsUndisturbed(client, 120_000);
});

it('workers and an API that are started while a server is frozen, or killed, serve as soon as it is back', async () => {
  await platform.worker(1).kill('SIGTERM');
  const client = new StubbornClient(platform, 'starting');
  const starting: Promise<{ kill(signal: NodeJS.Signals): Promise<void> }>[] = [];
  const apis: ReturnType<TestPlatform['startApi']>[] = [];
  for (const server of servers.all)
    for (const manner of MANNERS) {
      client.startRun();
      await suffer({ server, manner, seconds: 3 }, async () => {
        starting.push(platform.startWorker('train'));
        apis.push(platform.startApi());
        client.startRun();
      });
      const workers = await Promise.all(starting.splice(0));
      const [api] = await Promise.all(apis.splice(0));
      expect(await api!('{ models { totalCount } }')).toMatchObject({ data: { models: { totalCount: 1 } } });
      await sleep(300);
      for (const worker of workers) await worker.kill('SIGTERM');
    }
  await platform.startWorker('train');
  await expectAllAsUndisturbed(client, 120_000);
});

it.runIf(SOAK_MINUTES > 0)(
  `for ${SOAK_MINUTES} minutes servers and workers fail at random, for up to a minute`,
  async () => {
    const random = chance('soak');
    const client = new StubbornClient(platform, 'soak');
    const end = performance.now() + SOAK_MINUTES * 60_000;
    await platform.startWorker('train');
    while (performance.now() < end) {
      client.startRun();
      const fault: Fault = {
        server: servers.all[Math.floor(random() * 3)]!,
        manner: MANNERS[Math.floor(random() * 2)]!,
        seconds: random() < 0.2 ? 60 : 10 * random(),
      };
      console.error(`${fault.server.name} ${fault.manner} for ${fault.seconds.toFixed(1)} s`);
      await suffer(fault, async () => client.startRun());
      await sleep(5_000 * random());
    }
    await expectAllAsUndisturbed(client, 600_000);
  },
  (SOAK_MINUTES + 12) * 60_000,
);
