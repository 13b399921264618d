import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { ask, startTiny, until, untilOver, uploadIdx } from '../helpers/training.js';

/** `examples/`, which Apollo Sandbox opens with, after what `npm run demo` does, with fewer images. */

const FOLDER = path.resolve(import.meta.dirname, '../../examples');
const FILES = readdirSync(FOLDER).toSorted();
const read = (file: string) => readFileSync(path.join(FOLDER, file), 'utf8');

const CLASSES = Array.from({ length: 10 }, (_, label) => `class ${label}`);
const NAME = 'fashion-mnist-resnet20';
let platform: TestPlatform;

/** 28x28, a bright row that is higher the larger the label. */
function rows(count: number) {
  const labels = Uint8Array.from({ length: count }, (_, index) => index % CLASSES.length);
  const pixels = new Uint8Array(count * 784);
  labels.forEach((label, index) => pixels.fill(200, index * 784 + label * 56, index * 784 + label * 56 + 56));
  return { labels, pixels };
}

beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'] });
  await uploadIdx(platform, 'fashion-mnist', CLASSES, rows(200), rows(20));
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: { name: NAME, preset: 'RESNET20', inputShape: { height: 28, width: 28, channels: 1 }, classNames: CLASSES },
  });
  const run = { model: NAME, dataset: 'fashion-mnist', epochs: 1, batchSize: 50 };
  expect(await untilOver(platform, await startTiny(platform, run))).toMatchObject({ status: 'SUCCEEDED' });
  const release = 'mutation ($model: String!) { setAlias(model: $model, alias: "production", version: 1) { name } }';
  await ask(platform, release, { model: NAME });
});
afterAll(() => platform.stop());

describe('examples/', () => {
  test('is what Sandbox opens with: five operations, word for word, and the header for a key', async () => {
    const page = await (await fetch(platform.url, { headers: { accept: 'text/html' } })).text();
    expect(page).toContain('"headers":{"authorization":""}');
    const [, document] = /"document":"((?:[^"\\]|\\.)*)"/.exec(page) ?? [];
    const opened = JSON.parse(`"${document}"`) as string;
    expect(FILES).toHaveLength(5);
    for (const file of FILES) expect(opened).toContain(read(file));
    expect(opened.match(/^(query|mutation|subscription) \w+/gm)).toHaveLength(FILES.length);
  });

  test('1-models shows the model, its version and where its weights are', async () => {
    const { models } = await ask(platform, read('1-models.graphql'));
    const [{ name, architecture, aliases, versions }] = models.nodes;
    expect({ name, architecture, aliases }).toMatchObject({
      name: NAME,
      architecture: { preset: 'RESNET20', depth: 20 },
      aliases: [{ name: 'production', version: { version: 1 } }],
    });
    expect(versions.nodes[0].evaluation.accuracy).toBeGreaterThanOrEqual(0);
    for (const { downloadUrl, bytes } of versions.nodes[0].artifacts)
      expect((await (await fetch(downloadUrl)).arrayBuffer()).byteLength).toBe(bytes);
  });

  test('2-architecture tells of a ResNet-50 with squeeze and excitation', async () => {
    const { previewArchitecture } = await ask(platform, read('2-architecture.graphql'));
    // osmr/imgclsmob README, SE-ResNet-50.
    expect(previewArchitecture).toMatchObject({ depth: 50, parameters: 28_088_024 });
    expect(previewArchitecture.layers.length).toBeGreaterThan(100);
  });

  test('3-train starts a run that succeeds, and 4-watch sees it', async () => {
    const changes = platform.subscribe(read('4-watch.graphql'))[Symbol.asyncIterator]();
    const change = changes.next();
    const ids: string[] = [];
    const seen = async () => {
      // Nothing tells that the subscription is there, and it tells nothing of what was before it.
      ids.push((await ask(platform, read('3-train.graphql'))).startTraining.id);
      return Promise.race([change.then(() => true), sleep(1_000).then(() => false)]);
    };
    await until(seen, 30_000);
    expect((await change).value.runsChanged).toMatchObject({ model: { name: NAME }, number: expect.any(Number) });
    await changes.return?.();
    for (const id of ids) expect(await untilOver(platform, id)).toMatchObject({ status: 'SUCCEEDED', epoch: 1 });
  });

  test('5-predict names three classes of the picture in it, and draws where it saw the first', async () => {
    const { predict } = await ask(platform, read('5-predict.graphql'));
    expect(predict.modelVersion).toMatchObject({ version: 1, aliases: ['production'] });
    const [{ top, explanation }] = predict.predictions;
    expect(top).toHaveLength(3);
    expect(Buffer.from(explanation, 'base64').subarray(1, 4).toString()).toBe('PNG');
  });
});
