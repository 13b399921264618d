import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium, type Browser, type Page } from 'playwright-core';
import { expect } from 'vitest';
import type { TestPlatform } from './platform.js';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/**
 * The address bar's popups are pages that each window renders beside ours, for half of all that Chromium computes. This
 * list takes the place of Playwright's own, of which the rest keeps pages plain and Chromium off the network.
 */
const DISABLED_FEATURES = [
  'WebUIOmniboxPopup', 'WebUIOmniboxAimPopup',
  'AimEnabled', 'HttpsUpgrades', 'MediaRouter', 'NetworkTimeServiceQuerying', 'OptimizationHints', 'PaintHolding', 'PreconnectToSearch',
  'ThirdPartyStoragePartitioning', 'AvoidUnnecessaryBeforeUnloadCheckSync', 'DestroyProfileOnBrowserClose', 'LensOverlay',
]; // prettier-ignore

/** Debian's Chromium, headless. Close it in `afterAll`. */
export const launchBrowser = (): Promise<Browser> =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-dev-shm-usage', `--disable-features=${DISABLED_FEATURES.join()}`],
  });

export interface Visit {
  readonly page: Page;
  /** Addresses of everything that the page asked for. */
  readonly requested: readonly string[];
  /** Errors that no code caught, and errors on the console. */
  readonly faults: readonly string[];
}

/** A tab with the dashboard open at `path`, for whoever has the admin key. */
export async function visit(
  browser: Browser,
  platform: TestPlatform,
  path = '/',
  { key = platform.adminKey as string | null, width = 1280, colorScheme = 'light' as 'light' | 'dark' } = {},
): Promise<Visit> {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme, acceptDownloads: true });
  if (key !== null) await context.addInitScript(`sessionStorage.setItem('residual-key', ${JSON.stringify(key)})`);
  const page = await context.newPage();
  page.setDefaultTimeout(30_000);
  const requested: string[] = [];
  const faults: string[] = [];
  page.on('request', (request) => requested.push(request.url()));
  page.on('websocket', (socket) => requested.push(socket.url()));
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => message.type() === 'error' && faults.push(message.text()));
  await page.goto(new URL(path, platform.url).href);
  return { page, requested, faults };
}

/** No violation that axe-core calls serious or critical. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.evaluate(AXE);
  const violations = await page.evaluate(async () => {
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a global of the script above
    const { violations } = await (globalThis as any).axe.run({ resultTypes: ['violations'] });
    return violations
      .filter(({ impact }: { impact: string }) => impact === 'serious' || impact === 'critical')
      .map(({ id, nodes }: { id: string; nodes: { html: string }[] }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`);
  });
  expect(violations).toEqual([]);
}

/** The page is no wider than the window: nothing has to be scrolled to from side to side. */
export async function expectFits(page: Page): Promise<void> {
  const overhang = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
  expect(overhang).toBe(0);
}
