import { readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { expectAccessible, expectFits, launchBrowser, visit } from '../helpers/browser.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';

let platform: TestPlatform;
let browser: Browser;

beforeAll(async () => {
  [platform, browser] = await Promise.all([startPlatform(), launchBrowser()]);
});
afterAll(async () => {
  await browser?.close();
  await platform?.stop();
});

const PAGES = ['/', '/runs/new', '/models', '/models/new', '/datasets', '/predict', '/serving', '/nowhere'];

describe('the dashboard', () => {
  it('asks for the key, says what is wrong with a wrong one, and keeps the right one for the tab', async () => {
    const { page } = await visit(browser, platform, '/models', { key: null });
    await page.getByLabel('API key').fill('wrong');
    await page.getByRole('button', { name: 'Enter' }).click();
    await page.getByRole('alert').getByText('UNAUTHENTICATED').waitFor();
    await expectAccessible(page);
    await page.getByLabel('API key').fill(platform.adminKey);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.reload();
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.getByRole('button', { name: 'Forget key' }).click();
    await page.getByLabel('API key').waitFor();
    await page.context().close();
  });

  it('asks for the key anew when the one that it kept is no longer taken', async () => {
    const { page } = await visit(browser, platform, '/models', { key: 'of yesterday' });
    await page.getByRole('alert').getByText('UNAUTHENTICATED').waitFor();
    await page.getByLabel('API key').fill(platform.adminKey);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.context().close();
  });

  it('is gone through by the keyboard: past the links to what is on a page, and from one page to the next', async () => {
    const { page } = await visit(browser, platform, '/models');
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    const inMain = () => page.evaluate('document.activeElement.closest("main") !== null');
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.textContent')).toBe('Skip to content');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    expect(await inMain()).toBe(true);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Define a model', level: 1 }).waitFor();
    expect(await page.evaluate('document.activeElement.id')).toBe('content');
    await page.getByLabel('preset').waitFor();
    await page.keyboard.press('Tab');
    expect(await page.evaluate('document.activeElement.name')).toBe('name');
    await page.context().close();
  });

  it.each(PAGES)('%s is accessible, in light and dark, and fits into 360 pixels, with nothing there yet', async (address) => {
    const { page, requested, faults } = await visit(browser, platform, address, { width: 360 });
    await page.getByRole('heading', { level: 1 }).waitFor();
    await page.waitForLoadState('networkidle');
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme });
      await expectAccessible(page);
    }
    await expectFits(page);
    const { host } = new URL(platform.url);
    expect(requested.filter((url) => !url.startsWith('data:') && new URL(url).host !== host)).toEqual([]);
    expect(faults).toEqual([]);
    await page.context().close();
  });

  it('loads at most 300 kB of compressed script at first, and has no more on all its pages', async () => {
    const { page } = await visit(browser, platform);
    await page.getByRole('heading', { name: 'Runs', level: 1 }).waitFor();
    const loaded = (await page.evaluate(
      `performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.js'))
        .map(({ encodedBodySize, decodedBodySize }) => [encodedBodySize, decodedBodySize])`,
    )) as [number, number][];
    await page.context().close();
    expect(loaded.length).toBeGreaterThan(0);
    const sum = (sizes: readonly number[]) => sizes.reduce((total, size) => total + size, 0);
    const [compressed, whole] = [0, 1].map((place) => sum(loaded.map((sizes) => sizes[place]!)));
    expect(compressed).toBeLessThan(300_000);
    expect(compressed).toBeLessThan(0.5 * whole!);
    const assets = path.resolve(import.meta.dirname, '../../web/dist/assets');
    const scripts = readdirSync(assets).filter((name) => name.endsWith('.js.gz'));
    expect(sum(scripts.map((name) => statSync(path.join(assets, name)).size))).toBeLessThan(300_000);
  });
});

it('what is no page of the dashboard is not found, whoever asks', async () => {
  const missing = await fetch(new URL('/no-such-thing', platform.url));
  expect(missing.status).toBe(404);
  const page = await fetch(new URL('/runs/some-run', platform.url), { headers: { accept: 'text/html' } });
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.headers.get('content-security-policy')).toContain(`default-src 'self'`);
});
