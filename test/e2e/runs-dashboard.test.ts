import { readFileSync } from 'node:fs';
import path from 'node:path';
import { buildSchema, getNamedType, isInputObjectType, type GraphQLInputObjectType } from 'graphql';
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
});
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

/** How long the page's main thread computed while `work` went on: processor time, which a busy machine does not change. */
async function mainThreadSeconds(page: Page, work: () => Promise<void>): Promise<number> {
  const session = await page.context().newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  const read = async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return metrics.find(({ name }) => name === 'TaskDuration')!.value;
  };
  const before = await read();
  await work();
  return (await read()) - before;
}

/** How many epochs the curve of the accuracy has by now. */
async function epochsDrawn(page: Page): Promise<number> {
  const captions = await page.locator('figcaption', { hasText: 'Accuracy' }).allTextContents();
  return Number(/(\d+) points/.exec(captions[0] ?? '')?.[1] ?? 0);
}

/** What the form refuses, and what the API does, of each kind of field. */
const REFUSED = [
  ['model', 'nobody', 'there is no model named nobody'],
  ['dataset', '', 'must be given'],
  ['batchSize', 'many', 'a number, not many'],
  ['epochs', '1.5', 'a whole number, not 1.5'],
  ['seed', '3000000000', /32.bit/],
  ['validationFraction', '2', 'not 2'],
  ['tags', 'one, , three', 'item 2: must be printable text'],
  ['schedule.milestones', '1, 2', 'milestones belong to the STEP schedule'],
  ['earlyStopping.patience', '0', 'must be a whole number from 1'],
  ['optimizer.learningRate', '-1', 'not -1'],
  ['augmentation.randomResizedCrop', 'true', 'and cropPadding 2 another'],
] as const;

/** The paths of all fields that a form for the type has. */
const pathsOf = (type: GraphQLInputObjectType, at = ''): string[] =>
  Object.values(type.getFields()).flatMap((inner) => {
    const named = getNamedType(inner.type);
    return isInputObjectType(named) ? pathsOf(named, `${at}${inner.name}.`) : [`${at}${inner.name}`];
  });

describe('a run', () => {
  it('is set up in a form with every field of StartTrainingInput, which shows the defaults', async () => {
    const { page } = await visit(browser, platform, '/runs/new');
    await field(page, 'model').waitFor();
    const schema = buildSchema(readFileSync(path.resolve(import.meta.dirname, '../../schema.graphql'), 'utf8'));
    const shown = await page.evaluate('[...document.querySelectorAll("form [name]")].map(({ name }) => name)');
    const wanted = pathsOf(schema.getType('StartTrainingInput') as GraphQLInputObjectType);
    expect((shown as string[]).toSorted()).toEqual(wanted.toSorted());
    const placeholders = ['epochs', 'batchSize', 'validationFraction', 'augmentation.mixup', 'optimizer.learningRate'];
    const defaults = await Promise.all(placeholders.map((name) => field(page, name).getAttribute('placeholder')));
    expect(defaults).toEqual(['10', '128', '0', '0', 'recipe']);
    expect(await field(page, 'precision').locator('option').first().innerText()).toBe('AUTO (default)');
    // An optimizer of which one field is given has the schema's defaults in the others.
    await field(page, 'optimizer.learningRate').fill('0.2');
    expect(await field(page, 'optimizer.momentum').getAttribute('placeholder')).toBe('0.9');
  });

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
    for (const title of ['Loss of the steps', 'Learning rate', 'Speed'])
      await page.getByRole('group', { name: new RegExp(`^${title} \\d+ points\\.`) }).waitFor();
    const left = page.locator('.facts div', { has: page.getByText('Time left', { exact: true }) }).locator('dd');
    expect(await left.innerText()).toMatch(/^\d+ (s|min|h)/);
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
    await button(page, 'Cancel').click();
    await button(page, 'Cancel the run').click();
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

  it('that cannot be started is told of beside the field at fault, whatever kind of field it is, which gets the focus', async () => {
    const { page } = await visit(browser, platform, '/runs/new?model=tiny&dataset=shapes');
    await field(page, 'augmentation.cropPadding').fill('2');
    for (const [name, wrong, fault] of REFUSED) {
      const control = field(page, name);
      const isSelect = (await page.locator(`select[name="${name}"]`).count()) === 1;
      const before = await control.inputValue();
      const write = (text: string) => (isSelect ? control.selectOption(text) : control.fill(text));
      await write(wrong);
      await button(page, 'Start training').click();
      await page.locator('.field', { has: control }).locator('.fault').getByText(fault).waitFor();
      await until(async () => (await page.evaluate('document.activeElement.name')) === name, 5_000);
      expect(await page.locator('[aria-invalid=true]').count()).toBe(1);
      await write(before);
    }
    await expectAccessible(page);
  });

  it('that fails shows why', async () => {
    const id = await startTiny(platform, { optimizer: { learningRate: 1e30 }, schedule: { kind: 'CONSTANT' }, tags: ['failed'] });
    const { page } = await visit(browser, platform, `/runs/${id}`);
    await status(page).getByText('failed').waitFor();
    await page.locator('.headline .problem').getByText(/at step \d+ \(epoch 1\) with learning rate 1e\+30/).waitFor();
    expect(await page.getByRole('heading', { name: 'Evaluation on the test split' }).count()).toBe(0);
    await expectAccessible(page);
  });

  it('is offered to be started again with its settings', async () => {
    const { page } = await visit(browser, platform, `/runs/${slow}`);
    await page.getByRole('link', { name: 'Another like it' }).click();
    await field(page, 'optimizer.learningRate').waitFor();
    const values = ['model', 'dataset', 'epochs', 'optimizer.learningRate', 'tags'].map((name) => field(page, name).inputValue());
    expect(await Promise.all(values)).toEqual(['tiny', 'shapes', '3', '0.002', 'pair']);
  });

  it('of 100,000 steps is drawn by as many points as one sees, which the server thins', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    const ended = { status: 'SUCCEEDED', step: 100_000, totalSteps: 100_000, epoch: 500 } as const;
    const { id } = await createRunRow(database, { model, dataset }, ended);
    await database.$executeRaw`
      INSERT INTO "StepMetric" ("runId", step, epoch, loss, accuracy, "learningRate", "imagesPerSecond")
      SELECT ${id}, step, 1 + step / 200, 1 / sqrt(step), 0.5, 0.1, 1000 FROM generate_series(1, 100000) AS step`;
    await database.$executeRaw`
      INSERT INTO "EpochMetric" ("runId", epoch, "trainLoss", "trainAccuracy", "validationLoss", "validationAccuracy",
        "learningRate", "imagesPerSecond", seconds)
      SELECT ${id}, epoch, 1, 0.5, 1, 0.5, 0.1, 1000, 1 FROM generate_series(1, 500) AS epoch`;
    await database.$executeRaw`
      INSERT INTO "LogLine" ("runId", level, message) SELECT ${id}, 'info', 'line ' || line FROM generate_series(1, 5000) AS line`;
    const { page } = await visit(browser, platform, '/nowhere');
    const seconds = await mainThreadSeconds(page, async () => {
      await page.goto(new URL(`/runs/${id}`, platform.url).href);
      await page.getByRole('group', { name: /^Loss of the steps 500 points\./ }).waitFor();
      await page.getByRole('group', { name: /^Accuracy 500 points\./ }).waitFor();
      await page.getByText('50 of 5,000 lines').waitFor();
    });
    expect(seconds).toBeLessThan(2);
    await database.trainingRun.delete({ where: { id } });
  });

  it('shows each line of its log once and in order, the older ones a page at a time, however quickly they are asked for', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    const { id } = await createRunRow(database, { model, dataset }, { status: 'SUCCEEDED' });
    const data = Array.from({ length: 120 }, (_, line) => ({ runId: id, level: 'info' as const, message: `line ${line}` }));
    await database.logLine.createMany({ data });
    const { page } = await visit(browser, platform, `/runs/${id}`);
    for (const [shown, ask] of [[50, 'dblclick'], [100, 'click']] as const) {
      await page.getByText(`${shown} of 120 lines`).waitFor();
      await button(page, 'Older lines')[ask]();
    }
    await page.getByText('120 of 120 lines').waitFor();
    const messages = (await page.locator('.logs li').allInnerTexts()).map((text) => text.replace(/^\S+ +/, ''));
    expect(messages).toEqual(data.map(({ message }) => message));
    expect(await button(page, 'Older lines').count()).toBe(0);
    await database.trainingRun.delete({ where: { id } });
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
    await page.getByLabel('Model').fill('tiny');
    await page.waitForURL('**/?status=SUCCEEDED&model=tiny');
    await page.getByLabel('Tag').fill('pair');
    await page.getByLabel('Order').selectOption('best accuracy first');
    await page.waitForURL('**/?status=SUCCEEDED&model=tiny&order=accuracy&tag=pair');
    const rows = page.locator('table.runs tbody tr');
    await until(async () => (await rows.count()) === 2, 10_000);
    const names = await rows.locator('th').allTextContents();
    await page.reload();
    await rows.first().waitFor();
    expect(await rows.locator('th').allTextContents()).toEqual(names);
    expect(await page.getByLabel('succeeded').isChecked()).toBe(true);
    expect(await page.getByLabel('Model').inputValue()).toBe('tiny');
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

  it('is left for a page that says what is wrong while the server is away, and is there when it is back', async () => {
    const gate = await openGate(new URL(platform.url).origin);
    const { page } = await visit(browser, { ...platform, url: gate.url });
    await row(page, slow).waitFor();
    await gate.shut();
    await page.getByLabel('Tag').fill('elsewhere');
    await page.getByRole('alert').getByText('UNREACHABLE').waitFor();
    // Nor does its script come.
    await page.getByRole('link', { name: 'Serving' }).click();
    await page.getByRole('heading', { name: 'This page cannot be shown' }).waitFor();
    await expectAccessible(page);
    await gate.open();
    await page.getByRole('button', { name: 'Load it again' }).click();
    await page.getByRole('heading', { name: 'Serving', level: 1 }).waitFor();
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

  it('is counted on the serving page as the queue has it', async () => {
    const { queueStats } = await ask(platform, '{ queueStats { waiting active paused failed } }');
    expect(Math.min(queueStats.paused, queueStats.failed)).toBeGreaterThan(0);
    const { page } = await visit(browser, platform, '/serving');
    const queue = page.getByRole('region', { name: 'Training queue' });
    await queue.waitFor();
    const figures = Object.fromEntries(
      (await queue.locator('dl > div').allInnerTexts()).map((text) => text.split('\n').filter(Boolean)),
    );
    const { waiting, active, paused, failed } = queueStats;
    expect(figures).toEqual({ Waiting: `${waiting}`, Running: `${active}`, Paused: `${paused}`, Failed: `${failed}` });
  });

  it('of a thousand runs costs a page little, and up to eight of them are laid side by side', async () => {
    const [model, dataset] = await Promise.all([database.model.findFirstOrThrow(), database.dataset.findFirstOrThrow()]);
    await database.$executeRaw`
      INSERT INTO "TrainingRun" (id, "modelId", "datasetId", status, config, plan, "totalSteps", step, epoch, tags, evaluation)
      SELECT gen_random_uuid(), ${model.id}, ${dataset.id}, 'SUCCEEDED', '{}', '{}', 8, 8, 1, '{thousand}',
        jsonb_build_object('accuracy', run / 1000.0, 'loss', 1)
      FROM generate_series(1, 1000) AS run`;
    const { page } = await visit(browser, platform, '/nowhere');
    const rows = page.locator('table.runs tbody tr');
    const seconds = await mainThreadSeconds(page, async () => {
      await page.goto(new URL('/?tag=thousand&order=accuracy', platform.url).href);
      await page.getByText('25 of 1,000 runs').waitFor();
      for (let turned = 1; turned <= 4; turned++) {
        await page.getByRole('link', { name: 'Next' }).click();
        await rows.first().getByText(`${(100 - 2.5 * turned).toFixed(2)} %`).waitFor();
      }
    });
    expect(await rows.count()).toBe(25);
    expect(seconds).toBeLessThan(2);

    const boxes = rows.getByRole('checkbox');
    for (let chosen = 0; chosen < 8; chosen++) await boxes.nth(chosen).check();
    expect(await boxes.nth(8).isDisabled()).toBe(true);
    await page.getByRole('link', { name: 'Compare (8)' }).click();
    const compared = page.getByRole('region', { name: 'Comparison' }).getByRole('columnheader');
    await compared.first().waitFor();
    expect(await compared.count()).toBe(8);
    await database.trainingRun.deleteMany({ where: { tags: { has: 'thousand' } } });
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
