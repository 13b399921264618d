import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { launchBrowser, visit } from '../helpers/browser.js';
import { startFaultyServers, without, type FaultyServers } from '../helpers/faulty-servers.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { startResidual, type ResidualProcess } from '../helpers/residual-command.js';
import { defineTiny, startTiny, until, uploadShapes } from '../helpers/training.js';

/* Whoever follows a run while PostgreSQL is away, in each manner of following and of being away. */

const AWAY_MS = 8_000;

let servers: FaultyServers;
let platform: TestPlatform;
let browser: Browser;

beforeAll(async () => {
  [servers, browser] = await Promise.all([startFaultyServers(), launchBrowser()]);
  platform = await startPlatform({ workers: ['datasets', 'train'], env: { TRAINING_THREADS: '1' }, servers: servers.addresses });
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
});
afterAll(async () => {
  await browser?.close();
  await platform?.stop();
  await servers?.stop();
});

const command = (...args: string[]) =>
  startResidual([...args, '--json'], { env: { RESIDUAL_URL: platform.url, RESIDUAL_KEY: platform.adminKey } });
const status = (page: Page) => page.locator('.headline').getByRole('status');

/** A page of which nothing can be read yet. */
async function visitInVain(path: string): Promise<Page> {
  const { page } = await visit(browser, platform, path);
  await page.getByRole('alert').getByText('SERVICE_UNAVAILABLE').waitFor();
  return page;
}

/** What a subscription tells of a run, as it comes. */
function subscribe(id: string) {
  const told: string[] = [];
  const over = (async () => {
    const progress = 'subscription ($id: ID!) { runProgress(id: $id) { status } }';
    for await (const { runProgress } of platform.subscribe(progress, { id })) told.push(runProgress.status);
  })();
  // Whoever awaits it sees it fail.
  over.catch(() => undefined);
  return { told, over };
}

describe.each(['frozen', 'killed'] as const)('while PostgreSQL is %s a run is followed to its end', (manner) => {
  let train: ResidualProcess;
  let watch: ResidualProcess;
  let before: Page;
  let meanwhile: Page | undefined;
  let table: Page | undefined;
  let subscription: ReturnType<typeof subscribe>;
  let toldMeanwhile: number;

  beforeAll(async () => {
    train = command('train', 'tiny', 'shapes', '--epochs', '200', '--batch-size', '16', '--tag', manner);
    await until(async () => / \| (running|epoch)/.test(train.stderr()), 60_000);
    const [, number, id] = /Run (\d+) of tiny started: (\S+)/.exec(train.stderr())!;
    ({ page: before } = await visit(browser, platform, `/runs/${id}`));
    await status(before).getByText('running').waitFor();
    subscription = subscribe(await startTiny(platform, { epochs: 1 }));
    const { told } = subscription;
    await until(async () => told.length > 0, 30_000);
    // Right behind a value nothing is being read for the next one.
    const seen = told.length;
    await until(async () => told.length > seen, 30_000, 1);
    const toldBefore = told.length;
    await without(servers.postgres, manner, async () => {
      const away = sleep(AWAY_MS);
      watch = command('watch', number!);
      [meanwhile, table] = await Promise.all([`/runs/${id}`, `/?tag=${manner}`].map(visitInVain));
      await away;
      toldMeanwhile = told.length - toldBefore;
    });
  });

  it('by residual train', async () => {
    const { code, stdout, stderr } = await train.ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ status: 'SUCCEEDED', progress: 1 });
  });

  it('by residual watch that was begun meanwhile, by its number', async () => {
    const { code, stderr } = await watch.ended;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  });

  it('by a page that was there before', () => status(before).getByText('succeeded').waitFor());

  it('by a page that was opened meanwhile', () => status(meanwhile!).getByText('succeeded').waitFor());

  it('by the table of runs that was opened meanwhile', () => table!.locator('tbody').getByText('succeeded').waitFor());

  it('by a subscription, which tells nothing meanwhile', async () => {
    await subscription.over;
    expect(subscription.told.at(-1)).toBe('SUCCEEDED');
    expect(toldMeanwhile).toBe(0);
  });
});
