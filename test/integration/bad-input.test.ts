import { crc32, deflateSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore } from '../../src/infra/objects.js';
import type { TrainingRun } from '../../src/infra/prisma/client.js';
import { keysIn } from '../helpers/buckets.js';
import { idxFiles, image } from '../helpers/dataset-files.js';
import { upload } from '../helpers/datasets.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';
import { createRunRow } from '../helpers/rows.js';

/**
 * What a caller can get wrong, sent to the real processes: each gives the code and the field that the contract names,
 * and leaves no row and no object behind.
 */
let platform: TestPlatform;
let database: Database;
let bucket: ObjectsConfig;
/** What is there, by what the tests know to have made. */
let known: unknown;
beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { MAX_BODY_BYTES: String(4 * 1024 ** 2) } });
  database = connectDatabase(platform.env['DATABASE_URL']!);
  bucket = bucketOf(platform);
  await Promise.all([prepareDatasets(), prepareModels()]);
  known = await footprint();
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

/** `six`: six READY images of 1x2x3 in three classes. `awaited`: nothing uploaded. */
async function prepareDatasets(): Promise<void> {
  const create = `mutation ($name: String!) { createDataset(input: { name: $name, format: IDX }) {
    dataset { id } uploads { file method url headers } } }`;
  await platform.graphql(create, { name: 'awaited' });
  const { dataset, uploads } = (await platform.graphql(create, { name: 'six' })).data.createDataset;
  await upload(uploads, idxFiles());
  await platform.graphql('mutation ($id: ID!) { completeDataset(id: $id) { id } }', { id: dataset.id });
  await vi.waitFor(
    async () => {
      const row = await database.dataset.findUnique({ where: { id: dataset.id } });
      expect(row).toMatchObject({ status: 'READY', trainSize: 6 });
      expect((await keysIn(bucket)).filter((key) => key.startsWith('uploads/'))).toEqual([]);
    },
    { timeout: 30_000, interval: 100 },
  );
}

async function prepareModels(): Promise<void> {
  const objects = createObjectStore(bucket);
  await publishRandomVersion({ database, objects }, await defineSmallModel(database, 'served'), 1);
  await defineSmallModel(database, 'untrained');
  const define = `mutation ($name: String!, $channels: Int!, $classNames: [String!]!) { defineModel(input: {
    name: $name, classNames: $classNames, inputShape: { height: 2, width: 3, channels: $channels }
    architecture: { stem: { kind: CONV3X3, width: 4 }, stages: [{ blocks: 1, width: 4, stride: 1 }] } }) { id } }`;
  await platform.graphql(define, { name: 'fits', channels: 1, classNames: ['a', 'b', 'c'] });
  await platform.graphql(define, { name: 'rgb', channels: 3, classNames: ['a', 'b', 'c'] });
  await platform.graphql(define, { name: 'pair', channels: 1, classNames: ['a', 'b'] });
}

/** Everything that a request could leave behind. */
async function footprint(): Promise<unknown> {
  const [models, datasets, runs, versions, artifacts, keys] = await Promise.all([
    database.model.findMany({ orderBy: { id: 'asc' } }),
    database.dataset.findMany({ orderBy: { id: 'asc' } }),
    database.trainingRun.findMany({ orderBy: { id: 'asc' } }),
    database.modelVersion.count(),
    database.artifact.count(),
    database.apiKey.count(),
  ]);
  return { models, datasets, runs, versions, artifacts, keys, objects: await keysIn(bucket) };
}

interface Case {
  /** Of the input, or the inside of the operation where it is written out. */
  readonly given: Record<string, unknown> | string;
  readonly field: string;
  /** @default BAD_USER_INPUT */
  readonly code?: string;
}

async function refused(document: string, variables: Record<string, unknown>, { code = 'BAD_USER_INPUT', field }: Case) {
  const { errors } = await platform.graphql(document, variables);
  expect(errors?.[0]?.extensions, JSON.stringify(errors)).toMatchObject({ code, field });
  expect(await footprint()).toEqual(known);
}

const DEFINE = 'mutation ($input: DefineModelInput!) { defineModel(input: $input) { id } }';
const define: Record<string, Case> = {
  'an empty name': { given: { name: '' }, field: 'input.name' },
  'a name with a capital': { given: { name: 'Net' }, field: 'input.name' },
  'a name that begins with a dot': { given: { name: '.net' }, field: 'input.name' },
  'a name of 64 letters': { given: { name: 'n'.repeat(64) }, field: 'input.name' },
  'a name with a line end': { given: { name: 'net\n' }, field: 'input.name' },
  'a name with U+0000': { given: { name: 'n\0' }, field: 'input.name' },
  'a name that is taken': { given: { name: 'fits' }, field: 'input.name', code: 'CONFLICT' },
  'a name that is a number': { given: { name: 7 }, field: 'input.name' },
  'an unknown preset': { given: { preset: 'RESNET19' }, field: 'input.preset' },
  'a squeeze to less than a channel': {
    given: { architecture: { squeezeExcitation: 17 } },
    field: 'input.architecture.squeezeExcitation',
  },
  'a dropout of everything': { given: { architecture: { dropout: 1 } }, field: 'input.architecture.dropout' },
  'a stochastic depth below 0': { given: { architecture: { dropPath: -0.1 } }, field: 'input.architecture.dropPath' },
  'neither preset nor architecture': { given: { preset: null }, field: 'input.preset' },
  'a shape too small for its strides': {
    given: { preset: 'RESNET18', inputShape: { height: 9, width: 32, channels: 3 } },
    field: 'input.inputShape.height',
  },
  'a width of 0': { given: { inputShape: { height: 32, width: 0, channels: 3 } }, field: 'input.inputShape.width' },
  'a height past 2^31': { given: { inputShape: { height: 2 ** 31, width: 9, channels: 3 } }, field: 'input.inputShape.height' },
  'a height of 1.5': { given: { inputShape: { height: 1.5, width: 9, channels: 3 } }, field: 'input.inputShape.height' },
  'two channels': { given: { inputShape: { height: 32, width: 32, channels: 2 } }, field: 'input.inputShape.channels' },
  'a shape without channels': { given: { inputShape: { height: 32, width: 32 } }, field: 'input.inputShape.channels' },
  'no shape': { given: { inputShape: undefined }, field: 'input.inputShape' },
  'no classes': { given: { classNames: [] }, field: 'input.classNames' },
  'one class': { given: { classNames: ['all'] }, field: 'input.classNames' },
  '10,001 classes': { given: { classNames: numbered(10_001) }, field: 'input.classNames' },
  'a class twice': { given: { classNames: ['a', 'b', 'a'] }, field: 'input.classNames.2' },
  'a class without a name': { given: { classNames: ['a', ' '] }, field: 'input.classNames.1' },
  'a class that is null': { given: { classNames: ['a', null] }, field: 'input.classNames.1' },
  'a description of 2,001 letters': { given: { description: 'd'.repeat(2_001) }, field: 'input.description' },
  'an unknown field': { given: { layers: 3 }, field: 'input.layers' },
  'no stages': { given: { architecture: { stages: [] } }, field: 'input.architecture.stages' },
  'a stage of 0 channels': {
    given: { architecture: { stages: [{ blocks: 1, width: 8 }, { blocks: 1, width: 0 }] } },
    field: 'input.architecture.stages.1.width',
  },
  'a stage of a billion blocks': {
    given: { architecture: { stages: [{ blocks: 1_000_000_000, width: 8 }] } },
    field: 'input.architecture.stages.0.blocks',
  },
  'a billion parameters': {
    given: { architecture: { widthMultiplier: 60, stages: [{ blocks: 9, width: 900 }] } },
    field: 'input.architecture.widthMultiplier',
  },
  'an unknown stem': { given: { architecture: { stem: { kind: 'NONE', width: 8 } } }, field: 'input.architecture.stem.kind' },
  'a negative multiplier': { given: { architecture: { widthMultiplier: -1 } }, field: 'input.architecture.widthMultiplier' },
}; // prettier-ignore

function numbered(count: number): string[] {
  return Array.from({ length: count }, (_, index) => String(index));
}

describe('defineModel refuses', () => {
  const fine = { name: 'new', preset: 'RESNET20', inputShape: { height: 32, width: 32, channels: 3 }, classNames: ['a', 'b'] };

  test.each(Object.entries(define))('%s', (_title, bad) =>
    refused(DEFINE, { input: { ...fine, ...(bad.given as object) } }, bad),
  );

  test('a million classes', async () => {
    const { errors } = await platform.graphql(DEFINE, { input: { ...fine, classNames: numbered(1_000_000) } });
    expect(errors?.[0]?.extensions.code).toBe('PAYLOAD_TOO_LARGE');
    expect(await footprint()).toEqual(known);
  });

  test('a rate that is not a number, written out, under the name of the argument', () =>
    refused(
      `mutation ($shape: ImageShapeInput!) { defineModel(input: { name: "new", inputShape: $shape, classNames: ["a", "b"]
        architecture: { widthMultiplier: NaN } }) { id } }`,
      { shape: fine.inputShape },
      { given: '', field: 'input.architecture.widthMultiplier' },
    ));

  test('a part of a variable, under the name of the argument that it is given to', () =>
    refused(
      'mutation ($i: DefineModelInput!) { defineModel(input: $i) { id } }',
      { i: { ...fine, preset: 'RESNET19' } },
      { given: '', field: 'input.preset' },
    ));

  test('nothing of what it says elsewhere', async () => {
    expect((await platform.graphql(DEFINE, { input: fine })).errors).toBeUndefined();
    known = await footprint();
  });
});

const train: Record<string, Case> = {
  'an unknown model': { given: { model: 'nobody' }, field: 'input.model', code: 'NOT_FOUND' },
  'an unknown data set': { given: { dataset: 'nothing' }, field: 'input.dataset', code: 'NOT_FOUND' },
  'an unknown version of a data set': { given: { dataset: 'six@2' }, field: 'input.dataset', code: 'NOT_FOUND' },
  'a data set that is no reference': { given: { dataset: 'six@@1' }, field: 'input.dataset' },
  'a data set that is not READY': { given: { dataset: 'awaited' }, field: 'input.dataset' },
  'a model of another channel count': { given: { model: 'rgb' }, field: 'input.dataset' },
  'a model of another class count': { given: { model: 'pair' }, field: 'input.dataset' },
  '0 epochs': { given: { epochs: 0 }, field: 'input.epochs' },
  'half an epoch': { given: { epochs: 0.5 }, field: 'input.epochs' },
  'epochs past 2^31': { given: { epochs: 2 ** 31 }, field: 'input.epochs' },
  'a batch of 0': { given: { batchSize: 0 }, field: 'input.batchSize' },
  'a batch larger than the data set': { given: { batchSize: 7 }, field: 'input.batchSize' },
  'a negative rate': { given: { optimizer: { learningRate: -0.1 } }, field: 'input.optimizer.learningRate' },
  'a rate of 0': { given: { optimizer: { learningRate: 0 } }, field: 'input.optimizer.learningRate' },
  'a rate in words': { given: { optimizer: { learningRate: 'NaN' } }, field: 'input.optimizer.learningRate' },
  'a momentum of 1': { given: { optimizer: { momentum: 1 } }, field: 'input.optimizer.momentum' },
  'a negative weight decay': { given: { optimizer: { weightDecay: -1 } }, field: 'input.optimizer.weightDecay' },
  'an unknown optimizer': { given: { optimizer: { kind: 'LION' } }, field: 'input.optimizer.kind' },
  'clipping at 0': { given: { optimizer: { clipNorm: 0 } }, field: 'input.optimizer.clipNorm' },
  'an unknown schedule': { given: { schedule: { kind: 'LINEAR' } }, field: 'input.schedule.kind' },
  'STEP without milestones': { given: { schedule: { kind: 'STEP' } }, field: 'input.schedule.milestones' },
  'more warm-up than epochs': { given: { epochs: 2, schedule: { warmupEpochs: 2 } }, field: 'input.schedule.warmupEpochs' },
  'negative padding': { given: { augmentation: { cropPadding: -1 } }, field: 'input.augmentation.cropPadding' },
  'erasing more often than always': { given: { augmentation: { randomErasing: 1.5 } }, field: 'input.augmentation.randomErasing' },
  'a negative mixup': { given: { augmentation: { mixup: -1 } }, field: 'input.augmentation.mixup' },
  'averages that never move': { given: { emaDecay: 1 }, field: 'input.emaDecay' },
  'no patience at all': { given: { earlyStopping: { patience: 0 } }, field: 'input.earlyStopping.patience' },
  'everything for validation': { given: { validationFraction: 1 }, field: 'input.validationFraction' },
  'fewer checkpoints than none': { given: { keepCheckpoints: -1 }, field: 'input.keepCheckpoints' },
  'a checkpoint every 0 steps': { given: { checkpointEverySteps: 0 }, field: 'input.checkpointEverySteps' },
  'a smoothing of 1': { given: { labelSmoothing: 1 }, field: 'input.labelSmoothing' },
  'an unknown engine': { given: { engine: 'CUDA' }, field: 'input.engine' },
  'an unknown precision': { given: { precision: 'FLOAT8' }, field: 'input.precision' },
  'a priority of a billion': { given: { priority: 1_000_000_000 }, field: 'input.priority' },
  'an empty tag': { given: { tags: ['a', ''] }, field: 'input.tags.1' },
  'an empty idempotency key': { given: { idempotencyKey: '' }, field: 'input.idempotencyKey' },
}; // prettier-ignore

describe('startTraining refuses', () => {
  const START = 'mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }';
  const fine = { model: 'fits', dataset: 'six', epochs: 1, batchSize: 2 };

  test.each(Object.entries(train))('%s', (_title, bad) =>
    refused(START, { input: { ...fine, ...(bad.given as object) } }, bad),
  );

  test.each(['NaN', 'Infinity', '-1e-3', '1e999'])('a learning rate of %s, written out', (rate) =>
    refused(
      `mutation { startTraining(input: { model: "fits", dataset: "six", batchSize: 2, optimizer: { learningRate: ${rate} } }) { id } }`,
      {},
      { given: '', field: 'input.optimizer.learningRate' },
    ),
  );

  test('a learning rate past the largest number, in variables', async () => {
    const body = JSON.stringify({ query: START, variables: { input: { ...fine, optimizer: { learningRate: 'LARGE' } } } });
    const { errors } = await post(body.replace('"LARGE"', '1e999'));
    expect(errors[0].extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.optimizer.learningRate' });
  });

  test('an idempotency key that came with another input, and takes it with the same', async () => {
    const input = { ...fine, idempotencyKey: 'once' };
    const [first, second] = [await platform.graphql(START, { input }), await platform.graphql(START, { input })];
    expect(second.data).toEqual(first.data);
    known = await footprint();
    await refused(START, { input: { ...input, seed: 1 } }, { given: '', field: 'input.idempotencyKey', code: 'CONFLICT' });
  });
});

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const predict: Record<string, Case> = {
  'an unknown model': { given: { model: 'nobody' }, field: 'input.model', code: 'NOT_FOUND' },
  'a model without versions': { given: { model: 'untrained' }, field: 'input.model', code: 'NOT_FOUND' },
  'an unknown version': { given: { model: 'served:9' }, field: 'input.model', code: 'NOT_FOUND' },
  'a reference that is none': { given: { model: 'served:one' }, field: 'input.model' },
  'no images': { given: { images: [] }, field: 'input.images' },
  '65 images': { given: { images: Array.from({ length: 65 }, () => PNG) }, field: 'input.images' },
  'an image that is not base64': { given: { images: [PNG, 'not base64!'] }, field: 'input.images.1' },
  'base64 without its padding': { given: { images: [PNG.replaceAll('=', '')] }, field: 'input.images.0' },
  'base64 that is no image': { given: { images: [PNG, btoa('hello')] }, field: 'input.images.1' },
  'an empty image': { given: { images: [''] }, field: 'input.images.0' },
  'an image that is null': { given: { images: [null] }, field: 'input.images.0' },
  'a top of 0': { given: { topK: 0 }, field: 'input.topK' },
  'an explanation that is neither true nor false': { given: { explain: 'yes' }, field: 'input.explain' },
}; // prettier-ignore

describe.each(['query', 'mutation'])('predict as a %s refuses', (kind) => {
  const PREDICT = `${kind} ($input: PredictInput!) { predict(input: $input) { latencyMs } }`;
  const fine = { model: 'served', images: [PNG] };

  test.each(Object.entries(predict))('%s', (_title, bad) =>
    refused(PREDICT, { input: { ...fine, ...(bad.given as object) } }, bad),
  );

  test('a PNG of 30,000 x 30,000 pixels', () =>
    refused(PREDICT, { input: { ...fine, images: [PNG, hugePng().toString('base64')] } }, {
      given: '',
      field: 'input.images.1',
      code: 'PAYLOAD_TOO_LARGE',
    }));

  test('a GIF', async () => {
    const gif = Buffer.from('R0lGODlhAQABAIAAAAUEBAAAACwAAAAAAQABAAACAkQBADs=', 'base64').toString('base64');
    await refused(PREDICT, { input: { ...fine, images: [gif] } }, { given: '', field: 'input.images.0' });
  });

  test('nothing of an image that is one', async () => {
    const images = [(await image('#f00')).toString('base64'), PNG];
    const { data, errors } = await platform.graphql(PREDICT, { input: { ...fine, images } });
    expect(errors).toBeUndefined();
    expect(data.predict.latencyMs).toBeGreaterThan(0);
  });
});

/** A whole, valid image: one bit a pixel, all black, about 110 kB. */
function hugePng(side = 30_000): Buffer {
  const chunk = (type: string, data: Buffer) => {
    const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)];
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    length.writeUInt32BE(data.length);
    check.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, check]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 1;
  const rows = deflateSync(Buffer.alloc(side * (1 + Math.ceil(side / 8))));
  const signature = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

const newDataset = (input: string) => `mutation { createDataset(input: { ${input} }) { dataset { id } } }`;
const newKey = (input: string) => `mutation { createApiKey(${input}) { secret } }`;
const others: Record<string, Case> = {
  'a data set with a bad name': { given: newDataset('name: "A B", format: IDX'), field: 'input.name' },
  'a data set of an unknown format': { given: newDataset('name: "a", format: CSV'), field: 'input.format' },
  'a data set of one class': { given: newDataset('name: "a", format: IDX, classNames: ["b"]'), field: 'input.classNames' },
  'completing a data set that is not there': { given: 'mutation { completeDataset(id: "none") { id } }', field: 'id', code: 'NOT_FOUND' },
  'deleting a data set that is not there': {
    given: 'mutation { deleteDataset(name: "none", version: 1) }',
    field: 'name',
    code: 'NOT_FOUND',
  },
  'deleting a model that is not there': { given: 'mutation { deleteModel(name: "none") }', field: 'name', code: 'NOT_FOUND' },
  'cancelling a run that is not there': { given: 'mutation { cancelTraining(id: "none") { id } }', field: 'id', code: 'NOT_FOUND' },
  'a key without a name': { given: newKey('name: " ", role: VIEWER'), field: 'name' },
  'a key of an unknown role': { given: newKey('name: "k", role: KING'), field: 'role' },
  'a key that expires yesterday': { given: newKey('name: "k", role: VIEWER, expiresAt: "yesterday"'), field: 'expiresAt' },
  'revoking a key that is not there': { given: 'mutation { revokeApiKey(id: "none") }', field: 'id', code: 'NOT_FOUND' },
  'samples past 100': { given: '{ dataset(name: "six") { samples(split: TRAIN, first: 101) { label } } }', field: 'first' },
  'samples of an unknown split': { given: '{ dataset(name: "six") { samples(split: DEV) { label } } }', field: 'split' },
  'runs in an unknown state': { given: '{ runs(status: [RUNNING, LOST]) { totalCount } }', field: 'status.1' },
  'a page of 101 runs': { given: '{ runs(first: 101) { totalCount } }', field: 'first' },
  'a page behind no cursor': { given: '{ datasets(after: "MQ") { totalCount } }', field: 'after' },
  'an argument that is missing': { given: '{ model { id } }', field: 'name' },
  'an argument that is unknown': { given: '{ models(limit: 3) { totalCount } }', field: 'limit' },
  'a document that does not parse': { given: '{ models {', field: 'query' },
  'a document that is empty': { given: ' ', field: 'query' },
  'a field that is unknown': { given: '{ models { count } }', field: 'query' },
}; // prettier-ignore

describe('also refused:', () => {
  test.each(Object.entries(others))('%s', (_title, bad) => refused(bad.given as string, {}, bad));

  test('completing a data set before its files are there', async () => {
    const { data } = await platform.graphql('{ dataset(name: "awaited") { id } }');
    const document = `mutation { completeDataset(id: "${data.dataset.id}") { id } }`;
    await refused(document, {}, { given: '', field: 'id' });
  });

  test.each([0, 10_001, 2 ** 31 - 1])('a curve of %i points', async (maxPoints) => {
    const { id } = await createRun();
    const document = `{ run(id: "${id}") { steps(maxPoints: ${maxPoints}) { step loss accuracy learningRate } } }`;
    await refused(document, {}, { given: '', field: 'maxPoints' });
  });

  test('cancelling a run that is over', async () => {
    const { id } = await createRun();
    await refused(`mutation { cancelTraining(id: "${id}") { id } }`, {}, { given: '', field: 'id', code: 'CONFLICT' });
  });
});

/** One that has failed. */
async function createRun(): Promise<TrainingRun> {
  const [model, dataset] = await Promise.all([
    database.model.findUniqueOrThrow({ where: { name: 'fits' } }),
    database.dataset.findFirstOrThrow({ where: { name: 'six' } }),
  ]);
  const run = await createRunRow(database, { model, dataset }, { status: 'FAILED' });
  known = await footprint();
  return run;
}

async function post(body: string, headers: Record<string, string> = {}) {
  const authorization = `Bearer ${platform.adminKey}`;
  const response = await fetch(platform.url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization, ...headers },
    body,
  });
  return { status: response.status, ...((await response.json()) as { errors: [{ message: string; extensions: unknown }] }) };
}

test.each([
  [200, 'that a resolver refuses', '{ models(first: 101) { totalCount } }'],
  [400, 'that does not parse', '{ models(first: 101) { totalCount }'],
  [400, 'that does not fit the schema', '{ model { totalCount } }'],
])('the status is %i for a document %s', async (expected, _what, query) => {
  const { status, errors } = await post(JSON.stringify({ query }));
  expect({ status, errors: errors.length > 0 }).toEqual({ status: expected, errors: true });
});

describe('a request that is no GraphQL gets a GraphQL error all the same:', () => {
  test.each([
    ['no JSON', 'hello', {}],
    ['nothing', '', {}],
    ['a batch', '[{ "query": "{ models { totalCount } }" }]', {}],
    ['variables in a string', '{ "query": "{ models { totalCount } }", "variables": "{}" }', {}],
    ['a form', 'query={models{totalCount}}', { 'content-type': 'application/x-www-form-urlencoded' }],
  ] as const)('%s', async (_title, body, headers) => {
    const { status, errors } = await post(body, headers);
    expect(status).toBeGreaterThanOrEqual(400);
    expect(status).toBeLessThan(500);
    expect(errors[0].extensions).toEqual({ code: 'BAD_USER_INPUT', field: 'query' });
  });

  test('a body over the limit', async () => {
    const { status, errors } = await post(JSON.stringify({ query: '{ models { totalCount } }', padding: ' '.repeat(4 * 1024 ** 2) }));
    expect(status).toBe(413);
    expect(errors[0].extensions).toEqual({ code: 'PAYLOAD_TOO_LARGE' });
  });

  test('an image that is printed in no message, however large', async () => {
    const images = ['!'.repeat(1024 ** 2)];
    const { errors } = await platform.graphql('query ($input: PredictInput!) { predict(input: $input) { latencyMs } }', {
      input: { model: 'served', images },
    });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.images.0' });
    expect(errors?.[0]?.message.length).toBeLessThan(1_000);
  });
});
