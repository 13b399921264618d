import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { startPlatform, type TestPlatform, type WorkerProcess } from '../helpers/platform.js';
import { linesOf, readSweep, startSweep, sweepInput, untilSweepOver } from '../helpers/sweeps.js';
import { defineTiny, until, uploadShapes } from '../helpers/training.js';

vi.setConfig({ testTimeout: 180_000 });

let platform: TestPlatform;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '1' } });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(() => platform.stop());

/* eslint-disable @typescript-eslint/no-explicit-any -- the answers of queries */
it('a sweep whose worker is killed again and again, and a trial under its worker, ends right and doubles no trial', async () => {
  const parameters = [{ path: 'optimizer.learningRate', values: [1e-5, 1e-4, 0.001, 0.01, 0.05, 0.1] }];
  const input = sweepInput({ parameters, algorithm: 'ASHA', trials: 6, metric: 'VALIDATION_LOSS' }, { epochs: 27 });
  const id = await startSweep(platform, input);
  const ids = (await readSweep(platform, id)).runs.map((run: any) => run.id);
  expect(ids).toHaveLength(6);

  let over = false;
  onTestFinished(() => void (over = true));
  let kills = 0;
  const killing = (async () => {
    while (!over) {
      const worker: WorkerProcess = await platform.startWorker('sweeps');
      await sleep(200 + Math.random() * 1_000);
      if (over) return;
      await worker.kill('SIGKILL');
      kills++;
    }
  })();
  const first = await platform.startWorker('train');
  const isFurther = async () => (await readSweep(platform, id)).runs.some(({ history }: any) => history.length > 3);
  await until(isFurther, 90_000);
  await first.kill('SIGKILL');
  await platform.startWorker('train');

  const sweep = await untilSweepOver(platform, id, 120_000);
  over = true;
  await killing;
  expect(kills).toBeGreaterThan(0);
  expect(sweep).toMatchObject({ status: 'SUCCEEDED', trials: 6, rungs: [1, 3, 9] });
  expect(sweep.runs.map((run: any) => run.id)).toEqual(ids);
  for (const run of sweep.runs) {
    const epochs = run.history.map(({ epoch }: any) => epoch);
    expect(epochs).toEqual(Array.from({ length: epochs.length }, (_, index) => index + 1));
    expect([['CANCELLED', 1], ['CANCELLED', 3], ['CANCELLED', 9], ['SUCCEEDED', 27]]).toContainEqual([run.status, epochs.length]);
    // Decided once at each rung, however often somebody looked.
    const decisions = linesOf(run).filter((line) => /^(promoted|stopped) by the sweep/.test(line));
    expect(decisions).toHaveLength([1, 3, 9, 27].indexOf(epochs.length) + (run.status === 'CANCELLED' ? 1 : 0));
  }
  expect(sweep.runs[sweep.best.trial - 1].status).toBe('SUCCEEDED');
});
