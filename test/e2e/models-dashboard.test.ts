import type { Browser, Page } from 'playwright-core';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { expectAccessible, expectFits, launchBrowser, visit } from '../helpers/browser.js';
import { folderFiles, image, zip } from '../helpers/dataset-files.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { CLASS_NAMES, drawImages, encodeIdx } from '../helpers/shapes-data.js';
import { ask, defineTiny, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';

let platform: TestPlatform;
let browser: Browser;

beforeAll(async () => {
  const starting = startPlatform({ workers: ['train', 'datasets', 'quantize'], env: { TRAINING_THREADS: '1' } });
  [platform, browser] = await Promise.all([starting, launchBrowser()]);
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  const runs = [await startTiny(platform, { epochs: 1 }), await startTiny(platform, { epochs: 3 })];
  for (const run of runs) expect(await untilOver(platform, run)).toMatchObject({ status: 'SUCCEEDED' });
  await ask(platform, 'mutation { setAlias(model: "tiny", alias: "production", version: 1) { name } }');
});
afterAll(async () => {
  await browser?.close();
  await platform?.stop();
});

/** A page open at `path`; when the test ends it must have gone nowhere but to the API and to the object store. */
async function open(path: string): Promise<Page> {
  const { page, requested, faults } = await visit(browser, platform, path);
  onTestFinished(async () => {
    await page.context().close();
    const known = [platform.url, platform.env['S3_ENDPOINT']!].map((url) => new URL(url).host);
    expect(requested.filter((url) => !/^(data|blob):/.test(url) && !known.includes(new URL(url).host))).toEqual([]);
    // A browser writes down each answer with an error's status, of which some tests get theirs.
    expect(faults.filter((fault) => !fault.includes('responded with a status of 400'))).toEqual([]);
  });
  return page;
}

/** As it stands: accessible in both schemes, and no wider than a small telephone. */
async function expectPleasant(page: Page): Promise<void> {
  for (const colorScheme of ['dark', 'light'] as const) {
    await page.emulateMedia({ colorScheme });
    await expectAccessible(page);
  }
  await page.setViewportSize({ width: 360, height: 800 });
  // A chart follows the window a frame later.
  await vi.waitFor(() => expectFits(page), { timeout: 15_000 });
  await page.setViewportSize({ width: 1280, height: 900 });
}

interface NamedFile {
  readonly name: string;
  readonly mimeType: string;
  readonly buffer: Buffer;
}

/** Drops files on the page's only zone for them. */
async function drop(page: Page, files: readonly NamedFile[]): Promise<void> {
  const plain = files.map(({ name, mimeType, buffer }) => ({ name, mimeType, base64: buffer.toString('base64') }));
  const dataTransfer = await page.evaluateHandle(
    `(() => {
      const transfer = new DataTransfer();
      for (const { name, mimeType, base64 } of ${JSON.stringify(plain)}) {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: mimeType }));
      }
      return transfer;
    })()`,
  );
  await page.dispatchEvent('.drop', 'dragover', { dataTransfer });
  await page.dispatchEvent('.drop', 'drop', { dataTransfer });
}

const binary = (name: string, content: Uint8Array): NamedFile => ({
  name,
  mimeType: 'application/octet-stream',
  buffer: Buffer.from(content),
});

function idxFiles(trainImages: number): NamedFile[] {
  const [train, test] = [encodeIdx(drawImages(trainImages, 5)), encodeIdx(drawImages(40, 6))];
  return [
    // With a dot, as some copies of MNIST have it.
    binary('train-images.idx3-ubyte', train.images), binary('train-labels.idx1-ubyte', train.labels),
    binary('t10k-images.idx3-ubyte', test.images), binary('t10k-labels.idx1-ubyte', test.labels),
  ]; // prettier-ignore
}

describe('data sets', () => {
  it('files dropped on the page go to the object store, with progress, and become a data set with balance and samples', async () => {
    const page = await open('/datasets');
    await drop(page, idxFiles(4_000));
    await page.getByText('train-images.idx3-ubyte').waitFor();
    expect(await page.getByLabel('format').inputValue()).toBe('IDX');
    await page.getByLabel('name', { exact: true }).fill('dropped');
    await page.getByLabel('class names').fill(CLASS_NAMES.join('\n'));
    await expectPleasant(page);

    // 256 kB of images, so that there is something to see of it.
    const session = await page.context().newCDPSession(page);
    const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 150_000 };
    await session.send('Network.emulateNetworkConditions', slow);
    await page.getByRole('button', { name: 'Upload' }).click();
    const share = 'document.querySelector(\'progress[aria-label="Upload of train-images.idx3-ubyte"]\')?.value';
    await until(async () => /^0\.[1-8]/.test(String(await page.evaluate(share))), 30_000, 20);
    await page.getByText('ready').first().waitFor();
    await page.getByText('4,000 images to train and 40 to test, of 4 classes.').waitFor();

    await page.getByRole('link', { name: 'See dropped@1' }).click();
    await page.getByRole('heading', { name: 'dropped@1' }).waitFor();
    expect(await page.getByRole('row', { name: /^upper-left/ }).innerText()).toMatch(/1,000\s+10/);
    const samples = page.getByRole('img', { name: /of TRAIN$/ });
    await samples.first().waitFor();
    expect(await samples.count()).toBe(24);
    await page.getByLabel('Split').selectOption('TEST');
    await page.getByRole('img', { name: /of TEST$/ }).first().waitFor();
    await expectPleasant(page);
  });

  it('a second version is one click from the first', async () => {
    await uploadShapes(platform, 8, 8);
    const page = await open('/datasets/shapes');
    await page.getByRole('heading', { name: 'shapes@2' }).waitFor();
    await page.getByRole('link', { name: 'Version 1' }).click();
    await page.getByRole('heading', { name: 'shapes@1' }).waitFor();
    await page.getByText('203 images').waitFor();
  });

  it('an archive that is no data set is told what is wrong with it, file by file', async () => {
    const page = await open('/datasets');
    const files = [...(await folderFiles()), { name: 'train/cat/3.png', content: Buffer.from('not an image') }];
    const archive = { name: 'Cats & Dogs.zip', mimeType: 'application/zip', buffer: zip(files) };
    await page.getByLabel('Drop the files of a data set here, or pick them').setInputFiles([archive]);
    expect(await page.getByLabel('format').inputValue()).toBe('IMAGE_FOLDER');
    expect(await page.getByLabel('name', { exact: true }).inputValue()).toBe('cats-dogs');
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.getByText('invalid').first().waitFor();
    const problems = page.getByRole('heading', { name: 'What is wrong with it' });
    await page.getByText('train/cat/3.png').first().waitFor();
    await page.getByRole('link', { name: 'cats-dogs@1' }).click();
    await page.getByRole('heading', { name: 'cats-dogs@1' }).waitFor();
    await problems.waitFor();
    await page.getByText('train/cat/3.png').waitFor();
    await expectPleasant(page);
  });

  it('files that a format does not have, and files that are missing, are told before and after', async () => {
    const page = await open('/datasets');
    const [images] = idxFiles(8);
    await page.getByLabel('name', { exact: true }).fill('partial');
    await page.getByLabel('format').selectOption('CIFAR10_BINARY');
    await page.getByLabel('Drop the files').setInputFiles([{ ...images!, name: 'holiday.jpeg' }]);
    await page.getByText('This format has no such file.').waitFor();
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.getByText('has no file holiday.jpeg').waitFor();
    await page.getByRole('button', { name: 'Leave out holiday.jpeg' }).click();
    await page.getByLabel('Drop the files').setInputFiles([images!]);
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.getByRole('alert').getByText('train-labels-idx1-ubyte or train-labels-idx1-ubyte.gz').waitFor();
  });

  it('a file that could not be sent is sent again by a click', async () => {
    const page = await open('/datasets');
    await drop(page, idxFiles(8));
    await page.getByLabel('name', { exact: true }).fill('twice');
    await page.getByLabel('class names').fill(CLASS_NAMES.join(', '));
    await page.evaluate(`(() => {
      const { send } = XMLHttpRequest.prototype;
      let sent = 0;
      XMLHttpRequest.prototype.send = function (body) { ++sent === 2 ? (this.onerror(), this.abort()) : send.call(this, body); };
    })()`);
    await page.getByRole('button', { name: 'Upload' }).click();
    await page.getByText('it could not be sent').waitFor();
    await page.getByRole('button', { name: 'Send the rest again' }).click();
    await page.getByText('8 images to train and 40 to test').waitFor();
  });
});

describe('models', () => {
  it('a model is defined with what it will be beside the form, and each fault beside its field', async () => {
    const page = await open('/models/new');
    const preview = page.getByRole('region', { name: 'What this gives' });
    await preview.getByText('269,722').waitFor();
    await page.getByLabel('preset').selectOption('RESNET18_CIFAR');
    await preview.getByText('11,173,962').waitFor();
    expect(await preview.getByRole('img', { name: 'layer2.0: 3×3, 3×3, convolution shortcut' }).count()).toBe(1);
    expect(await preview.getByRole('img', { name: 'layer2.1: 3×3, 3×3, identity shortcut' }).count()).toBe(1);

    const stage = page.getByRole('group', { name: 'stage 1', exact: true });
    await stage.getByLabel('width').fill('0');
    await stage.getByText(/1 to 65,?536/).waitFor();
    expect(await stage.getByLabel('width').getAttribute('aria-invalid')).toBe('true');
    await stage.getByLabel('width').fill('wide');
    await stage.getByText('a whole number, not wide').or(stage.getByText('a number, not wide')).waitFor();
    await stage.getByLabel('width').fill('32');
    await stage.getByLabel('blocks').fill('999');
    const stages = page.getByRole('group', { name: 'stages', exact: true, description: /The stages have 1005 blocks together/ });
    await stages.waitFor();
    await expectPleasant(page);
    await stage.getByLabel('blocks').fill('2');
    await preview.getByText('Not a network yet').waitFor({ state: 'detached' });

    await page.getByLabel('… or those of a data set').selectOption({ label: 'shapes@1 (4 classes)' });
    expect(await page.getByLabel('class names').inputValue()).toBe(CLASS_NAMES.join('\n'));
    await page.getByRole('button', { name: 'Define' }).click();
    await page.getByRole('group', { name: 'Model', exact: true }).getByText('must be given').waitFor();
    expect(await page.getByLabel('name', { exact: true }).evaluate('document.activeElement.name')).toBe('name');
    await page.getByLabel('name', { exact: true }).fill('from-the-page');
    await page.getByRole('button', { name: 'Define' }).click();
    await page.getByRole('heading', { name: 'from-the-page' }).waitFor();
    const { model } = await ask(platform, '{ model(name: "from-the-page") { classNames architecture { preset definition } } }');
    const architecture = { preset: 'RESNET18_CIFAR', definition: { stages: { 0: { width: 32 } } } };
    expect(model).toMatchObject({ classNames: CLASS_NAMES, architecture });

    await page.getByText(/^All \d+ layers$/).click();
    await page.getByRole('row', { name: /layer1\.0\.conv1/ }).waitFor();
    await page.getByRole('button', { name: 'Delete model' }).click();
    await page.getByRole('dialog').getByText('Delete from-the-page?').waitFor();
    await page.keyboard.press('Enter');
    await page.getByRole('dialog').waitFor({ state: 'hidden' });
    await page.getByRole('button', { name: 'Delete model' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Delete model' }).click();
    await page.getByRole('heading', { name: 'Models', level: 1 }).waitFor();
    await page.getByRole('link', { name: 'tiny' }).waitFor();
    expect(await page.getByRole('link', { name: 'from-the-page' }).count()).toBe(0);
  });

  it('the list is searched while one writes', async () => {
    await defineTiny(platform, 'another');
    const page = await open('/models');
    await page.getByRole('link', { name: 'another' }).waitFor();
    await page.getByLabel('Search by name or description').fill('TIN');
    await page.getByRole('link', { name: 'another' }).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'tiny' }).waitFor();
    expect(page.url()).toContain('search=TIN');
    await expectPleasant(page);
  });

  it('an alias moves by a click, is taken off by another, and a new one is set', async () => {
    const page = await open('/models/tiny');
    await page.getByRole('group', { name: 'Aliases of version 2' }).getByRole('button', { name: 'Move @production here' }).click();
    await page.getByRole('button', { name: 'Take production off version 2' }).waitFor();
    const aliases = async () => (await ask(platform, '{ model(name: "tiny") { aliases { name version { version } } } }')).model.aliases;
    expect(await aliases()).toEqual([{ name: 'production', version: { version: 2 } }]);
    await page.getByLabel('New alias').fill('latest');
    await page.getByRole('button', { name: 'Set alias' }).click();
    await page.getByRole('alert').getByText('alias', { exact: true }).waitFor();
    await page.getByLabel('New alias').fill('staging');
    await page.getByLabel('for version').selectOption('1');
    await page.getByRole('button', { name: 'Set alias' }).click();
    await page.getByRole('button', { name: 'Take staging off version 1' }).waitFor();
    await expectPleasant(page);
    await page.getByRole('button', { name: 'Take staging off version 1' }).click();
    await page.getByRole('button', { name: 'Take staging off version 1' }).waitFor({ state: 'detached' });
    expect(await aliases()).toHaveLength(1);
  });

  it('a version shows its accuracy and its files, is quantised by a click and predicts so, and serving is set', async () => {
    const page = await open('/models/tiny');
    const { model } = await ask(platform, '{ model(name: "tiny") { version(ref: "2") { evaluation { accuracy } artifacts { kind } } } }');
    const version = page.locator('li.version', { hasText: 'Version 2' });
    await version.getByText(`${(100 * model.version.evaluation.accuracy).toFixed(1)} %`).waitFor();
    const files = await version.getByRole('list', { name: 'Files of version 2' }).getByRole('button').all();
    expect(files).toHaveLength(model.version.artifacts.length);
    const downloading = page.waitForEvent('download');
    await files[0]!.click();
    expect((await downloading).suggestedFilename()).toBe('tiny-2.onnx');
    await version.getByRole('button', { name: 'Quantise version 2' }).click();
    await version.getByText('succeeded').waitFor();
    await version.getByRole('button', { name: 'ONNX INT8' }).waitFor();

    await page.getByLabel('max batch').fill('300');
    await page.getByRole('button', { name: 'Save serving settings' }).click();
    await page.locator('.fault', { hasText: '256' }).waitFor();
    await page.getByLabel('max batch').fill('16');
    await page.getByRole('button', { name: 'Save serving settings' }).click();
    await page.getByText('Saved: every server goes by it').waitFor();
    await page.getByPlaceholder('16', { exact: true }).waitFor();

    await version.getByRole('link', { name: 'Predict' }).click();
    await page.getByLabel('In eight bits').check();
    await page.getByRole('button', { name: /test image \d+: predict/ }).first().click();
    await page.getByText(/^By tiny:2 in /).waitFor();
    const { servingStats } = await ask(platform, '{ servingStats { cachedModels { int8 version { version } } } }');
    expect(servingStats.cachedModels).toEqual([{ int8: true, version: { version: 2 } }]);
  });

  it('a model that is not there is said not to be', async () => {
    const page = await open('/models/nobody');
    await page.getByText('There is no model nobody.').waitFor();
  });
});

describe('predictions and serving', () => {
  it('a test image that is picked gets its five likeliest classes and its activation map; ten are told right or wrong', async () => {
    const page = await open('/predict?model=tiny&ref=2&dataset=shapes@1');
    await page.getByRole('button', { name: /test image \d+: predict/ }).first().click();
    const prediction = page.getByRole('region', { name: 'Prediction' });
    await prediction.getByRole('img', { name: /^Activation map of/ }).waitFor();
    expect(await prediction.getByRole('list', { name: 'Likeliest classes' }).getByRole('listitem').count()).toBe(4);
    expect(await prediction.innerText()).toMatch(/(✓ right|✕ wrong): (upper|lower)-(left|right)/);
    await prediction.getByText(/^By tiny:2 in /).waitFor();
    await expectPleasant(page);

    await page.getByRole('button', { name: 'Predict all ten' }).click();
    await prediction.getByText(/^\d+ of 10 right\.$/).waitFor();
    const verdicts = await prediction.getByText(/^[✓✕] (right|wrong):/).allInnerTexts();
    expect(verdicts).toHaveLength(10);
    const right = verdicts.filter((verdict) => verdict.startsWith('✓ right')).length;
    await prediction.getByText(`${right} of 10 right.`).waitFor();
    await expectPleasant(page);
  });

  it('a dropped image is predicted with its map, and a file that is no image is told by its name', async () => {
    const page = await open('/predict?model=tiny&ref=1');
    const picture = { name: 'mine.png', mimeType: 'image/png', buffer: await image('#777', { height: 20, width: 30 }) };
    await drop(page, [picture]);
    const card = page.getByRole('article', { name: 'mine.png' });
    const map = card.getByRole('img', { name: /^Activation map of/ });
    await map.waitFor();
    const png = Buffer.from((await map.getAttribute('src'))!.replace('data:image/png;base64,', ''), 'base64');
    // Of the square that the network saw of it.
    expect(await sharp(png).metadata()).toMatchObject({ format: 'png', width: 20, height: 20 });
    expect(await card.getByText(/right|wrong/).filter({ hasText: /[✓✕]/ }).count()).toBe(0);

    const text = { name: 'notes.txt', mimeType: 'text/plain', buffer: Buffer.from('no image') };
    await page.getByLabel('Drop images here, or pick them').setInputFiles([picture, text]);
    await page.getByRole('alert').getByText(/notes\.txt: /).waitFor();
    await page.getByLabel('Show where it saw the class').uncheck();
    await page.getByLabel('Drop images here, or pick them').setInputFiles([picture]);
    await card.waitFor();
    expect(await map.count()).toBe(0);
  });

  it('the serving page shows the model in memory, its figures over time, and the worker online', async () => {
    const { predictions } = (
      await ask(platform, 'query ($input: PredictInput!) { predict(input: $input) { predictions { top { index } } } }', {
        input: { model: 'tiny:1', images: [(await image('#333')).toString('base64')] },
      })
    ).predict;
    expect(predictions).toHaveLength(1);
    const page = await open('/serving');
    const models = page.getByRole('region', { name: 'Models in memory' });
    const served = models.getByRole('listitem').filter({ hasText: 'tiny:1' });
    await served.getByText('ready').waitFor();
    await served.getByText('loaded').waitFor();
    const worker = page.getByRole('region', { name: 'Workers' }).getByRole('listitem');
    expect(await worker.innerText()).toMatch(/online[\s\S]*ONEDNN[\s\S]*nothing/);
    const { servingStats } = await ask(platform, '{ servingStats { requests latencyMs { p50 } } }');
    const figures = page.getByRole('region', { name: 'Since the server started' });
    await figures.getByText(String(servingStats.requests), { exact: true }).first().waitFor();
    const latency = page.getByRole('group', { name: /^Latency \d+ points\. p50: [\d.]+, p95: [\d.]+, p99: [\d.]+/ });
    await latency.waitFor();

    // It asks by itself: a prediction made now is on the page a little later.
    await ask(platform, 'query ($input: PredictInput!) { predict(input: $input) { batchSize } }', {
      input: { model: 'tiny:1', images: [(await image('#444')).toString('base64')] },
    });
    await page.getByRole('group', { name: /^Throughput \d+ points\. images: (?!0,)[\d.]+/ }).waitFor();
    await expectPleasant(page);
  });
});
