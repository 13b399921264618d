import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import { buildGraph } from '../../src/domain/network/layers.js';
import { normalisationTables } from '../../src/domain/normalisation.js';
import { encodeSafetensors, readSafetensorsIndex, safetensorsView, type SafetensorsType } from '../../src/formats/safetensors.js';
import { decodeStateDict } from '../../src/formats/state-dict.js';
import { createOneDnnEngine } from '../../src/training/engines/onednn.js';
import { readVariant } from '../golden/variants/variants.js';
import { keysIn } from '../helpers/buckets.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { sendUpload } from '../helpers/send-upload.js';
import { ask, defineTiny, startTiny, untilOver, uploadShapes } from '../helpers/training.js';

/** A network that PyTorch made, with torchvision's names: 3x37x33 images, bottlenecks behind a 7x7 stem. */
const VARIANT = 'bottleneck';
const variant = readVariant(VARIANT);
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

interface Entry {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
  readonly data: Uint8Array;
}

/** As `torch.save`'s state_dict would be, in safetensors. */
const torchEntries = stateDictOf(VARIANT);

function stateDictOf(name: string): Entry[] {
  const file = readFileSync(`${import.meta.dirname}/../golden/variants/${name}.safetensors`);
  return readEntries(file).filter((entry) => !entry.name.startsWith('test.'));
}

function readEntries(file: Uint8Array): Entry[] {
  const index = readSafetensorsIndex(file);
  return [...index.tensors.values()].map((tensor) => ({ ...tensor, data: safetensorsView(file, tensor) }));
}

let platform: TestPlatform;
let bucket: ObjectsConfig;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['train', 'datasets'], env: { TRAINING_THREADS: '1' } });
  bucket = bucketOf(platform);
  await define('torch', variant.definition);
});
afterAll(() => platform.stop());

/** A network that PyTorch made, as a model. */
async function define(name: string, definition: NetworkDefinition): Promise<void> {
  const { preset: _preset, inputShape, numClasses, ...rest } = definition;
  const { squeezeExcitation: _se, dropPath: _path, dropout: _dropout, ...architecture } = rest;
  const classNames = Array.from({ length: numClasses }, (_, index) => `class ${index}`);
  await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
    input: { name, architecture, inputShape, classNames },
  });
}

const IMPORT = `mutation ($model: String!, $id: ID!) { importWeights(model: $model, safetensors: $id) {
  id version run { id } evaluation { loss } model { name } artifacts { id kind sha256 bytes downloadUrl } } }`;

/** What importWeights answers to a file. */
async function importFile(model: string, file: Uint8Array) {
  const { createWeightsUpload } = await ask(
    platform,
    'mutation ($model: String!) { createWeightsUpload(model: $model) { id upload { url method headers } } }',
    { model },
  );
  await sendUpload(createWeightsUpload.upload, file);
  return platform.graphql(IMPORT, { model, id: createWeightsUpload.id });
}

/** Softmax of the CPU engine's logits for the picture, normalised by ImageNet's figures. */
async function expectedProbabilities(pixels: Uint8Array): Promise<number[]> {
  const { graph, tensors } = variant;
  const tables = normalisationTables(IMAGENET);
  const images = Float32Array.from(pixels, (value, index) => tables[(index % 3) * 256 + value]!);
  const session = await createOneDnnEngine({ threads: 1 }).open(graph, tensors, {
    batchSize: 1, precision: 'FLOAT32', labelSmoothing: 0, seed: 0,
    optimizer: {
      kind: 'SGD', learningRate: 0.1, momentum: 0, nesterov: false, weightDecay: 0, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
    },
  }); // prettier-ignore
  const logits = await session.evaluate(images, 1);
  await session.close();
  const exponentials = [...logits].map((value) => Math.exp(value - Math.max(...logits)));
  return exponentials.map((value) => value / exponentials.reduce((a, b) => a + b, 0));
}

async function predict(model: string, png: Buffer): Promise<number[]> {
  const { predict } = await ask(
    platform,
    'query ($input: PredictInput!) { predict(input: $input) { predictions { top { index probability } } } }',
    { input: { model, images: [png.toString('base64')], topK: variant.definition.numClasses } },
  );
  const probabilities: number[] = [];
  for (const { index, probability } of predict.predictions[0].top) probabilities[index] = probability;
  return probabilities;
}

function picture(): { pixels: Uint8Array; png: Promise<Buffer> } {
  const { height, width } = variant.definition.inputShape;
  const pixels = Uint8Array.from({ length: height * width * 3 }, (_, index) => (index * 37 + (index % 11) * 13) % 256);
  return { pixels, png: sharp(pixels, { raw: { width, height, channels: 3 } }).png().toBuffer() };
}

const byTransformers = (name: string) =>
  name
    .replace(/^conv1\./, 'resnet.embedder.embedder.convolution.')
    .replace(/^bn1\./, 'resnet.embedder.embedder.normalization.')
    .replace(/^fc\./, 'classifier.1.')
    .replace(/^layer(\d+)\.(\d+)\.(conv|bn)(\d+)\./, (_, stage, block, kind, index) =>
      `resnet.encoder.stages.${stage - 1}.layers.${block}.layer.${index - 1}.${kind === 'conv' ? 'convolution' : 'normalization'}.`)
    .replace(/^layer(\d+)\.(\d+)\.downsample\.(\d)\./, (_, stage, block, index) =>
      `resnet.encoder.stages.${stage - 1}.layers.${block}.shortcut.${index === '0' ? 'convolution' : 'normalization'}.`); // prettier-ignore

/** Exact only where the values have no more than bfloat16's eight bits. */
function asBFloat16(entry: Entry): Entry {
  if (entry.type !== 'F32') return entry;
  const words = new Uint16Array(Uint8Array.from(entry.data).buffer);
  const upper = Uint16Array.from({ length: words.length / 2 }, (_, i) => words[2 * i + 1]!);
  return { ...entry, type: 'BF16', data: new Uint8Array(upper.buffer) };
}

describe('importWeights', () => {
  test("makes a version of PyTorch's file that predicts what the engine computes from it", async () => {
    const { data, errors } = await importFile('torch', encodeSafetensors(torchEntries, { format: 'pt' }));
    expect(errors).toBeUndefined();
    const version = data.importWeights;
    expect(version).toMatchObject({ version: 1, run: null, evaluation: null, model: { name: 'torch' } });
    expect(version.artifacts.map(({ kind }: { kind: string }) => kind)).toEqual(expect.arrayContaining(['ONNX', 'SAFETENSORS']));
    expect((await keysIn(bucket)).filter((key) => key.startsWith('uploads/'))).toEqual([]);

    const { pixels, png } = picture();
    const [probabilities, expected] = await Promise.all([predict('torch:1', await png), expectedProbabilities(pixels)]);
    expect(Math.max(...expected) - Math.min(...expected)).toBeGreaterThan(0.01);
    expect(probabilities).toHaveLength(expected.length);
    probabilities.forEach((probability, index) => expect(probability).toBeCloseTo(expected[index]!, 5));

    const safetensors = version.artifacts.find(({ kind }: { kind: string }) => kind === 'SAFETENSORS');
    const content = Buffer.from(await (await fetch(safetensors.downloadUrl)).arrayBuffer());
    expect(createHash('sha256').update(content).digest('hex')).toBe(safetensors.sha256);
    expect(decodeStateDict(content)).toEqual(variant.tensors);
    expect(JSON.parse(readSafetensorsIndex(content).metadata['mean']!)).toEqual(IMAGENET.mean);
  });

  test("takes transformers' names, bfloat16 and our own file, the next versions", async () => {
    const renamed = torchEntries.map((entry) => ({ ...entry, name: byTransformers(entry.name) }));
    const first = (await importFile('torch', encodeSafetensors(renamed))).data.importWeights;
    const shaOf = (version: { artifacts: { kind: string; sha256: string }[] }, kind: string) =>
      version.artifacts.find((artifact) => artifact.kind === kind)!.sha256;
    const own = first.artifacts.find(({ kind }: { kind: string }) => kind === 'SAFETENSORS').downloadUrl;
    const bytes = new Uint8Array(await (await fetch(own)).arrayBuffer());
    const second = (await importFile('torch', bytes)).data.importWeights;
    expect(second.version).toBe(first.version + 1);
    expect(shaOf(second, 'ONNX')).toBe(shaOf(first, 'ONNX'));
    expect(shaOf(second, 'SAFETENSORS')).toBe(shaOf(first, 'SAFETENSORS'));

    const half = await importFile('torch', encodeSafetensors(torchEntries.map(asBFloat16)));
    expect(half.errors).toBeUndefined();
  });

  test("takes timm's names of the deep stem and the average-pool shortcut (ResNet-D)", async () => {
    await define('deep', readVariant('deep-stem').definition);
    const { data, errors } = await importFile('deep', encodeSafetensors(stateDictOf('deep-stem')));
    expect(errors).toBeUndefined();
    expect(data.importWeights).toMatchObject({ version: 1 });
  });

  const without = (name: string) => torchEntries.filter((entry) => entry.name !== name);
  const head = torchEntries.find(({ name }) => name === 'fc.bias')!;
  test.each<[string, Uint8Array, RegExp]>([
    ['lacks a tensor', encodeSafetensors(without('layer1.0.bn1.running_var')), /missing: layer1\.0\.bn1\.running_var/],
    ['has one too many', encodeSafetensors([...torchEntries, { ...head, name: 'layer9.0.conv1.bias' }]), /none of this network's: layer9\.0\.conv1\.bias/],
    ['has one of another shape', encodeSafetensors([...without('fc.bias'), { ...head, shape: [1, ...head.shape] }]), /fc\.bias is \[1, \d+\], not \[\d+\]/],
    ['has nobody\'s names', encodeSafetensors([{ ...head, name: 'x' }]), /names .* but x/],
    ['is no safetensors file', Buffer.from('PK\u0003\u0004 a zip of something else'), /header/],
    ['is cut short', encodeSafetensors(torchEntries).subarray(0, -5), /where the header tells of/],
    ['is empty', new Uint8Array(), /shorter than eight bytes/],
    ['holds infinity', encodeSafetensors([...without('fc.bias'), { ...head, data: new Uint8Array(new Float32Array(head.shape[0]!).fill(Infinity).buffer) }]), /fc\.bias holds Infinity/],
  ])('refuses a file that %s, and leaves nothing behind', async (_, file, message) => {
    const before = await keysIn(bucket);
    const { data, errors } = await importFile('torch', file);
    expect(data).toBeNull();
    expect(errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'safetensors' });
    expect(errors![0]!.message).toMatch(message);
    expect(await keysIn(bucket)).toEqual(before);
    const { model } = await ask(platform, '{ model(name: "torch") { versions { totalCount } } }');
    expect(model.versions.totalCount).toBe(4);
  });

  test('asked twice at once for one upload makes one version', async () => {
    await define('twice', variant.definition);
    const { createWeightsUpload } = await ask(
      platform,
      'mutation { createWeightsUpload(model: "twice") { id upload { url method headers } } }',
    );
    await sendUpload(createWeightsUpload.upload, encodeSafetensors(torchEntries));
    const asking = [1, 2].map(() => platform.graphql(IMPORT, { model: 'twice', id: createWeightsUpload.id }));
    const codes = (await Promise.all(asking)).map(({ errors }) => errors?.[0]?.extensions.code);
    expect(codes.toSorted()).toEqual(['BAD_USER_INPUT', undefined]);
    const { model } = await ask(platform, '{ model(name: "twice") { versions { totalCount } } }');
    expect(model.versions.totalCount).toBe(1);
  });

  test('that a killed API was in the midst of leaves no file behind once one is started again', async () => {
    const root = path.join(platform.env['RESIDUAL_DATA_DIR']!, 'imports');
    const living = `${hostname()}.${process.pid}.living`;
    for (const name of [`${hostname()}.${2 ** 22 + 1}.dead`, living]) await mkdir(path.join(root, name), { recursive: true });
    await platform.startApi();
    expect(await readdir(root)).toEqual([living]);
  });

  test('names what it cannot find', async () => {
    const codeOf = async (model: string, id: string) => (await platform.graphql(IMPORT, { model, id })).errors![0]!.extensions;
    expect(await codeOf('nobody', 'x')).toMatchObject({ code: 'NOT_FOUND', field: 'model' });
    expect(await codeOf('torch', '../../x')).toMatchObject({ code: 'BAD_USER_INPUT', field: 'safetensors' });
    const unknown = '00000000-0000-4000-8000-000000000000';
    expect(await codeOf('torch', unknown)).toMatchObject({ code: 'BAD_USER_INPUT', field: 'safetensors' });
  });
});

describe('initialWeights', () => {
  beforeAll(async () => {
    await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  });
  const linesOf = (run: { logs: { nodes: { message: string }[] } }) => run.logs.nodes.map(({ message }) => message).join('\n');
  const refusal = async (initialWeights: string, more: Record<string, unknown> = {}) => {
    const input = { model: 'tiny', dataset: 'shapes', batchSize: 16, initialWeights, ...more };
    const start = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
    return (await platform.graphql(start, { input })).errors![0]!;
  };

  test('a run goes on from a version of the same network, by reference, alias and artifact, to the same weights', async () => {
    const first = await untilOver(platform, await startTiny(platform, { epochs: 4 }));
    const artifactsOf = 'query ($id: ID!) { run(id: $id) { version { version artifacts { id kind sha256 } } } }';
    const { run } = await ask(platform, artifactsOf, { id: first.id });
    const { version, artifacts } = run.version;
    const { id, sha256 } = artifacts.find(({ kind }: { kind: string }) => kind === 'SAFETENSORS');
    const gentle = { epochs: 1, optimizer: { learningRate: 0.001 } };
    const tuned: any[] = []; // eslint-disable-line @typescript-eslint/no-explicit-any -- as in training.ts
    await ask(platform, `mutation { setAlias(model: "tiny", alias: "production", version: ${version}) { name } }`);
    // A newer version changes nothing of what @production and the bare name mean.
    await untilOver(platform, await startTiny(platform, { epochs: 1, seed: 9 }));
    for (const initialWeights of [`tiny:${version}`, id, sha256, 'tiny@production', 'tiny'])
      tuned.push(await untilOver(platform, await startTiny(platform, { ...gentle, initialWeights })));
    expect(linesOf(tuned[0])).toContain(`starts from tiny:${version} (${sha256})`);
    expect(linesOf(tuned[0])).toContain('nothing re-initialised');
    expect(tuned[0].history[0].trainLoss).toBeLessThan(0.7 * first.history[0].trainLoss);
    const weights = tuned.map((run) => run.version.artifacts.find(({ kind }: { kind: string }) => kind === 'SAFETENSORS').sha256);
    expect(new Set(weights).size).toBe(1);
    expect(linesOf(tuned[4])).toContain(`starts from tiny:${version} (${sha256})`);
    await ask(platform, 'mutation { removeAlias(model: "tiny", alias: "production") }');
  });

  test('another head is drawn anew, the rest is taken from imported weights', async () => {
    const { model } = await ask(
      platform,
      '{ model(name: "tiny") { versions(first: 1) { nodes { artifacts { kind downloadUrl } } } architecture { definition } } }',
    );
    const { downloadUrl } = model.versions.nodes[0].artifacts.find(({ kind }: { kind: string }) => kind === 'SAFETENSORS');
    const entries = readEntries(new Uint8Array(await (await fetch(downloadUrl)).arrayBuffer()));
    const { preset: _preset, numClasses: _four, inputShape, squeezeExcitation: _se, dropPath: _path, dropout: _dropout, ...architecture } =
      model.architecture.definition; // prettier-ignore
    const classNames = ['a', 'b', 'c', 'd', 'e', 'f', 'g'];
    await ask(platform, 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }', {
      input: { name: 'seven', architecture, inputShape, classNames },
    });
    const sevenClasses = entries.map((entry) => {
      if (!entry.name.startsWith('fc.')) return entry;
      const shape = [7, ...entry.shape.slice(1)];
      return { ...entry, shape, data: new Uint8Array(shape.reduce((a, b) => a * b, 4)) };
    });
    const imported = await importFile('seven', encodeSafetensors(sevenClasses));
    expect(imported.errors).toBeUndefined();
    const run = await untilOver(platform, await startTiny(platform, { epochs: 2, initialWeights: 'seven:latest' }));
    expect(run).toMatchObject({ status: 'SUCCEEDED' });
    const taken = buildGraph(model.architecture.definition).nodes.flatMap((node) => node.tensors).length - 2;
    expect(linesOf(run)).toContain(`${taken} tensors taken, fc.weight, fc.bias re-initialised`);
  });

  test('of another network are refused with the tensors that differ', async () => {
    expect(await refusal('torch:1')).toMatchObject({
      message: expect.stringMatching(/torch:1 does not fit tiny: conv1\.weight is \[/),
      extensions: { code: 'BAD_USER_INPUT', field: 'input.initialWeights' },
    });
  });

  test.each([
    ['nobody:1', 'NOT_FOUND'],
    ['tiny:999', 'NOT_FOUND'],
    ['tiny@staging', 'NOT_FOUND'],
    ['tiny@latest', 'BAD_USER_INPUT'],
    ['0'.repeat(64), 'NOT_FOUND'],
    ['Not A Name', 'BAD_USER_INPUT'],
    ['', 'BAD_USER_INPUT'],
  ])('%j are refused as %s', async (reference, code) => {
    expect((await refusal(reference)).extensions).toMatchObject({ code, field: 'input.initialWeights' });
  });
});
