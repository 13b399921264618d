import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { startLossyProxy, type LossyProxy } from '../helpers/lossy-proxy.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { ask, defineTiny, readRun, startTiny, untilOver, uploadShapes } from '../helpers/training.js';
import { expectWhole, resultOf } from '../helpers/whole-run.js';

// A machine busy with other tests must not be taken for a fault.
vi.setConfig({ testTimeout: 180_000 });

const EPOCHS = 12;
let platform: TestPlatform;
let proxy: LossyProxy;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets', 'train'], env: { TRAINING_THREADS: '1' } });
  proxy = await startLossyProxy(platform.env['DATABASE_URL']!);
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(async () => {
  await platform.stop();
  await proxy.stop();
});

it('what a worker writes is there once, however often it cannot know whether it is', async () => {
  const undisturbed = await untilOver(platform, await startTiny(platform, { epochs: EPOCHS, seed: 3 }));
  await platform.worker(1).kill('SIGTERM');
  const worker = await platform.startWorker('train', { DATABASE_URL: proxy.url });

  const id = await startTiny(platform, { epochs: EPOCHS, seed: 3 });
  let over = false;
  const disturb = async () => {
    // Half the time, so that what is tried again gets through in the end, the run's last write too.
    for (let lose = true; !over; lose = !lose) {
      proxy.lose(lose);
      await sleep(150);
    }
    proxy.lose(false);
  };
  const disturbing = disturb();
  const run = await untilOver(platform, id, 120_000).finally(() => (over = true));
  await disturbing;

  expect(proxy.lost).toBeGreaterThan(5);
  expect(run.attempts).toBe(1);
  expectWhole(run, EPOCHS, 13);
  expect(resultOf(run)).toEqual(resultOf(undisturbed));
  const messages = (await readRun(platform, id)).logs.nodes.map(({ message }: { message: string }) => message);
  const repeated = messages.filter((message: string, index: number) => messages.indexOf(message) !== index);
  expect(repeated).toEqual([]);
  const { model } = await ask(platform, '{ model(name: "tiny") { versions { totalCount } } }');
  expect(model.versions.totalCount).toBe(2);
  await worker.kill('SIGTERM');
});
