import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { expectAccessible, expectFits, launchBrowser, visit } from '../helpers/browser.js';
import { openGate } from '../helpers/gate.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { createRunRow } from '../helpers/rows.js';
import { CLASS_NAMES } from '../helpers/shapes-data.js';
import { ask, defineTiny, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';

/* The tests go on from one another: what the first trains, the later ones look at. */

let platform: TestPlatform;
let browser: Browser;
let database: Database;
/** Succeeded, and differing in the learning rate alone. */
let slow: string;
let fast: string;
beforeAll(async () => {
  [platform, browser] = await Promise.all([
    startPlatform({ workers: ['train', 'datasets'], env: { TRAINING_THREADS: '1' } }),
    launchBrowser(),
  ]);
  database = connectDatabase(platform.env['DATABASE_URL']!);
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
}, 120_000);
afterAll(async () => {
  await browser?.close();
  await database?.$disconnect();
  await platform?.stop();
});

// A tab that stays open goes on watching.
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()));
});

const field = (page: Page, name: string) => page.locator(`[name="${name}"]`);
const button = (page: Page, name: string) => page.getByRole('button', { name, exact: true });
const row = (page: Page, id: string) => page.locator('table.runs tbody tr', { has: page.locator(`a[href="/runs/${id}"]`) });
const status = (page: Page) => page.locator('.headline').getByRole('status');

/** How many epochs the curve of the accuracy has by now. */
async function epochsDrawn(page: Page): Promise<number> {
  const captions = await page.locator('figcaption', { hasText: 'Accuracy' }).allTextContents();
  return Number(/(\d+) points/.exec(captions[0] ?? '')?.[1] ?? 0);
}

describe('a run', () => {
  it('is started once by a double click, and its curves grow while it trains', async () => {
    const { page, faults } = await visit(browser, platform, '/runs/new?model=tiny');
    expect(await field(page, 'model').inputValue()).toBe('tiny');
    await field(page, 'dataset').fill('shapes');
    await field(page, 'epochs').fill('2000');
    await field(page, 'batchSize').fill('4');
    await field(page, 'optimizer.learningRate').fill('0.01');
    await field(page, 'tags').fill('first, form');
    await button(page, 'Start training').dblclick();
    await page.waitForURL('**/runs/*-*');
    const { runs } = await ask(platform, '{ runs { totalCount nodes { config } } }');
    expect([runs.totalCount, runs.nodes[0].config.optimizer.learningRate]).toEqual([1, 0.01]);
    await until(async () => (await epochsDrawn(page)) >= 2, 30_000);
    const drawn = await epochsDrawn(page);
    await until(async () => (await epochsDrawn(page)) >= drawn + 2, 30_000);
    expect(faults).toEqual([]);
  });

  it('is paused, resumed and cancelled by the buttons, each of which is there when it can be', async () => {
    const { runs } = await ask(platform, '{ runs(first: 1) { nodes { id } } }');
    const { page } = await visit(browser, platform, `/runs/${runs.nodes[0].id}`);
    await status(page).getByText('running').waitFor();
    expect(await button(page, 'Resume').isDisabled()).toBe(true);
    await button(page, 'Pause').click();
    await status(page).getByText('paused').waitFor();
    expect(await button(page, 'Pause').isDisabled()).toBe(true);
    await button(page, 'Resume').click();
    await status(page).getByText('running').waitFor();
    expect(await button(page, 'Pause').isDisabled()).toBe(false);
    page.once('dialog', (dialog) => void dialog.accept());
    await button(page, 'Cancel').click();
    await status(page).getByText('cancelled').waitFor();
    for (const name of ['Pause', 'Resume', 'Cancel']) expect(await button(page, name).isDisabled()).toBe(true);
  });

  it('shows its evaluation, its mistakes and its files as soon as it is over', async () => {
    fast = await startTiny(platform, { epochs: 3, tags: ['pair'] });
    slow = await startTiny(platform, { epochs: 3, tags: ['pair'], optimizer: { learningRate: 0.002 } });
    const { page, faults } = await visit(browser, platform, `/runs/${slow}`);
    await page.getByRole('heading', { name: 'Evaluation on the test split' }).waitFor({ timeout: 60_000 });
    const { run } = await ask(
      platform,
      'query ($id: ID!) { run(id: $id) { evaluation { confusion mistakes { index } } } }',
      { id: slow },
    );
    const cells = await page.getByRole('region', { name: 'Confusion matrix' }).locator('tbody td').allTextContents();
    expect(cells.map(Number)).toEqual(run.evaluation.confusion.flat());
    const rows = page.getByRole('region', { name: 'Figures by class' }).getByRole('row');
    expect(await rows.count()).toBe(CLASS_NAMES.length + 1);
    const pictures = page.locator('.mistakes img');
    expect(await pictures.count()).toBe(run.evaluation.mistakes.length);
    expect(await page.evaluate('document.querySelector(".mistakes img").naturalWidth')).toBe(8);
    const download = page.waitForEvent('download');
    await button(page, 'Download ONNX').click();
    expect((await download).suggestedFilename()).toMatch(/^tiny-\d+\.onnx$/);
    await page.getByRole('region', { name: 'Logs' }).getByText('trained: accuracy').waitFor();
    expect(await page.getByRole('region', { name: 'Checkpoints' }).getByRole('row').count()).toBe(3);
    expect(faults).toEqual([]);
  });

  it('of a hundred classes has a confusion matrix with a row and a column for each', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    const names = Array.from({ length: 100 }, (_, label) => `class ${label}`);
    const confusion = names.map((_, label) => names.map((_, other) => (label === other ? 90 : Number(label === other + 1))));
    const perClass = names.map((className) => ({ className, precision: 1, recall: 0.9, f1: 0.95, support: 91 }));
    // As one from before mistakes were kept.
    const evaluation = { loss: 0.5, accuracy: 0.9, top5Accuracy: 1, confusion, perClass };
    const { id } = await createRunRow(database, { model, dataset }, { status: 'SUCCEEDED', evaluation, tags: ['hundred'] });
    const { page } = await visit(browser, platform, `/runs/${id}`, { width: 360 });
    const matrix = page.getByRole('region', { name: 'Confusion matrix' });
    await matrix.waitFor();
    expect([await matrix.locator('thead th').count(), await matrix.locator('tbody tr').count()]).toEqual([100, 100]);
    await expectFits(page);
    await expectAccessible(page);
    await database.trainingRun.delete({ where: { id } });
  });

  it('that the API refuses is told of beside the field at fault', async () => {
    const { page } = await visit(browser, platform, '/runs/new?model=tiny&dataset=shapes');
    await field(page, 'optimizer.learningRate').fill('-1');
    await button(page, 'Start training').click();
    const rate = page.locator('.field', { has: page.locator('[name="optimizer.learningRate"]') });
    await rate.locator('.fault').waitFor();
    expect(await field(page, 'optimizer.learningRate').getAttribute('aria-invalid')).toBe('true');
    await expectAccessible(page);
    await field(page, 'optimizer.learningRate').fill('0.1');
    await field(page, 'model').fill('nobody');
    await button(page, 'Start training').click();
    await page.locator('.field', { has: field(page, 'model') }).getByText('there is no model named nobody').waitFor();
  });

  it('is offered to be started again with its settings', async () => {
    const { page } = await visit(browser, platform, `/runs/${slow}`);
    await page.getByRole('link', { name: 'Another like it' }).click();
    await field(page, 'optimizer.learningRate').waitFor();
    const values = ['model', 'dataset', 'epochs', 'optimizer.learningRate', 'tags'].map((name) => field(page, name).inputValue());
    expect(await Promise.all(values)).toEqual(['tiny', 'shapes', '3', '0.002', 'pair']);
  });

  it('that there is not is said to be none', async () => {
    const { page } = await visit(browser, platform, '/runs/nothing');
    await page.getByText('There is no run nothing').waitFor();
  });
});

describe('the table of runs', () => {
  it('keeps its filters and its order in the address', async () => {
    await untilOver(platform, fast);
    await untilOver(platform, slow);
    const { page } = await visit(browser, platform);
    await row(page, slow).waitFor();
    await page.getByLabel('succeeded').check();
    await page.getByLabel('Tag').fill('pair');
    await page.getByLabel('Order').selectOption('best accuracy first');
    await page.waitForURL('**/?status=SUCCEEDED&order=accuracy&tag=pair');
    const rows = page.locator('table.runs tbody tr');
    await until(async () => (await rows.count()) === 2, 10_000);
    const names = await rows.locator('th').allTextContents();
    await page.reload();
    await rows.first().waitFor();
    expect(await rows.locator('th').allTextContents()).toEqual(names);
    expect(await page.getByLabel('succeeded').isChecked()).toBe(true);
    expect(await page.getByLabel('Tag').inputValue()).toBe('pair');
    expect(await page.getByLabel('Order').inputValue()).toBe('accuracy');
  });

  it('follows runs that are started and changed elsewhere', async () => {
    const { page } = await visit(browser, platform);
    await row(page, slow).waitFor();
    const id = await startTiny(platform, { epochs: 2000, batchSize: 4 });
    await row(page, id).getByText('running').waitFor();
    await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id });
    await row(page, id).getByText('cancelled').waitFor();
  });

  it('finds its way back when the connection was cut, to what changed meanwhile', async () => {
    const gate = await openGate(new URL(platform.url).origin);
    const { page } = await visit(browser, { ...platform, url: gate.url });
    await row(page, slow).waitFor();
    await gate.shut();
    const id = await startTiny(platform, { epochs: 2000, batchSize: 4 });
    await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id });
    await untilOver(platform, id);
    await gate.open();
    await row(page, id).getByText('cancelled').waitFor();
  });

  it('has a subscription of its own, as each page has, that ends when one goes elsewhere', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    const { id: resting } = await createRunRow(database, { model, dataset }, { status: 'PAUSED' });
    const { page } = await visit(browser, platform, '/nowhere');
    /** By the client's id. */
    const open = new Map<string, string>();
    page.on('websocket', (socket) => {
      const note = ({ payload: frame }: { payload: string | Buffer }) => {
        const { type, id, payload } = JSON.parse(String(frame));
        if (type === 'subscribe') open.set(id, /subscription (\w+)/.exec(payload.query)![1]!);
        if (type === 'complete') open.delete(id);
      };
      socket.on('framesent', note).on('framereceived', note);
    });
    const untilOpen = (...names: string[]) => until(async () => [...open.values()].join() === names.join(), 10_000);
    await page.getByRole('link', { name: 'All runs' }).click();
    await untilOpen('RunsChanged');
    await row(page, resting).getByRole('link', { name: /^Run/ }).click();
    await untilOpen('RunProgress');
    await page.getByRole('link', { name: 'Models' }).click();
    await untilOpen();
  });

  it('is read page by page', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    for (let run = 0; run < 30; run++)
      await createRunRow(database, { model, dataset }, { status: 'FAILED', tags: ['many'], failure: 'as an example' });
    const { page } = await visit(browser, platform, '/?tag=many');
    const rows = page.locator('table.runs tbody tr');
    await page.getByText('25 of 30 runs').waitFor();
    expect(await rows.count()).toBe(25);
    const first = await rows.first().locator('th').textContent();
    await page.getByRole('link', { name: 'Next' }).click();
    await page.getByText('5 of 30 runs', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Previous' }).click();
    await page.getByText('25 of 30 runs').waitFor();
    expect(await rows.first().locator('th').textContent()).toBe(first);
  });

  it('lays chosen runs side by side, with the setting in which they differ', async () => {
    const { page } = await visit(browser, platform, '/?tag=pair');
    await row(page, fast).getByRole('checkbox').check();
    expect(await button(page, 'Compare (1)').isDisabled()).toBe(true);
    await row(page, slow).getByRole('checkbox').check();
    await page.getByRole('link', { name: 'Compare (2)' }).click();
    const differences = page.locator('.differences tr');
    await differences.first().waitFor();
    expect(await differences.allTextContents()).toEqual(['optimizer.learningRate0.050.002']);
    expect(await epochsDrawn(page)).toBe(3);
  });
});

describe.each(['light', 'dark'] as const)('in %s', (colorScheme) => {
  it.each([
    ['the table of runs', (): string => '/', 'table.runs tbody tr'],
    ['a run', (): string => `/runs/${slow}`, '.mistakes img'],
    ['the form for a run', (): string => '/runs/new?model=tiny', '.field'],
    ['a comparison', (): string => `/compare?ids=${fast},${slow}`, '.differences tr'],
  ] as const)('%s is accessible, fits into 360 pixels, and asks nobody but the API', async (_, address, content) => {
    const { page, requested, faults } = await visit(browser, platform, address(), { width: 360, colorScheme });
    await page.locator(content).first().waitFor();
    await expectAccessible(page);
    await expectFits(page);
    const { host } = new URL(platform.url);
    expect(requested.filter((url) => !url.startsWith('data:') && new URL(url).host !== host)).toEqual([]);
    expect(faults).toEqual([]);
  });
});
