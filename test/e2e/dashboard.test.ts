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

  it('is at most 300 kB of compressed script at its first load', () => {
    const assets = path.resolve(import.meta.dirname, '../../web/dist/assets');
    const scripts = readdirSync(assets).filter((name) => name.endsWith('.js.gz'));
    const bytes = scripts.reduce((sum, name) => sum + statSync(path.join(assets, name)).size, 0);
    expect(scripts.length).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(300_000);
  });
});

it('what is no page of the dashboard is not found, whoever asks', async () => {
  const missing = await fetch(new URL('/no-such-thing', platform.url));
  expect(missing.status).toBe(404);
  const page = await fetch(new URL('/runs/some-run', platform.url), { headers: { accept: 'text/html' } });
  expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8']);
  expect(page.headers.get('content-security-policy')).toContain(`default-src 'self'`);
});
