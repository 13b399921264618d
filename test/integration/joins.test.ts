import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createLoaders } from '../../src/graphql/loaders.js';
import type { Database } from '../../src/infra/database.js';
import type { ObjectStore } from '../../src/infra/objects.js';
import { publishVersion } from '../../src/registry/publish-version.js';
import type { NetworkDefinition } from '../../src/domain/network/definition.js';
import { freshName } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { storesOf } from '../helpers/platform-stores.js';
import { defineSmallModel, publishRandomVersion } from '../helpers/published-version.js';
import { createDatasetRow } from '../helpers/rows.js';

let platform: TestPlatform;
let database: Database;
let objects: ObjectStore;
beforeAll(async () => {
  platform = await startPlatform();
  ({ database, objects } = storesOf(platform));
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const EVALUATION = {
  loss: 0.25, accuracy: 0.75, top5Accuracy: null, confusion: [[3, 1], [0, 4]],
  perClass: [{ className: 'a', precision: 1, recall: 0.75, f1: 0.857, support: 4 },
    { className: 'b', precision: 0.8, recall: 1, f1: 0.889, support: 4 }],
  mistakes: [{ index: 5, label: 0, predicted: 1, probability: 0.75 }],
}; // prettier-ignore

/** A run that succeeded after 1,000 steps, with what it published. */
async function finishedRun() {
  const model = await defineSmallModel(database, freshName('m-'));
  const dataset = await createDatasetRow(database, { name: freshName('d-'), bytes: 2n ** 40n });
  const rates = { learningRate: 0.1, imagesPerSecond: 500 };
  const run = await database.trainingRun.create({
    data: {
      modelId: model.id, datasetId: dataset.id, config: { epochs: 2 }, plan: {}, status: 'SUCCEEDED', engine: 'ONEDNN',
      precision: 'FLOAT32', workerId: 'w1', epoch: 2, step: 1_000, totalSteps: 1_000, attempt: 2, evaluation: EVALUATION,
      tags: ['x'], startedAt: new Date(), finishedAt: new Date(),
      epochs: { create: [1, 2].map((epoch) => ({
        epoch, trainLoss: 1 / epoch, trainAccuracy: 0.5, validationLoss: 1, validationAccuracy: 0.5, seconds: 3, ...rates })) },
      steps: { create: Array.from({ length: 1_000 }, (_, index) => ({
        step: index + 1, epoch: 1 + Math.floor(index / 500), loss: 1, accuracy: 0.5, ...rates })) },
      logs: { create: ['first', 'second', 'third'].map((message) => ({ level: 'info', message })) },
    },
  }); // prettier-ignore
  const { sha256, onnx } = await publishRandomVersion({ database, objects }, model, 1);
  const version = await publishVersion(database, {
    runId: run.id,
    modelId: model.id,
    definition: model.definition as unknown as NetworkDefinition,
    classNames: model.classNames,
    mean: [0.5, 0.5, 0.5],
    std: [0.25, 0.25, 0.25],
    evaluation: EVALUATION,
    artifacts: [{ kind: 'ONNX', sha256, bytes: onnx.length }],
  });
  return { model, dataset, run, version, sha256, onnx };
}

const RUN = `query ($id: ID!) { run(id: $id) {
  number status config engine precision worker progress epoch step totalSteps etaSeconds queuePosition attempts failure tags
  createdAt startedAt finishedAt model { name } dataset { name version bytes size(split: TRAIN) classCounts(split: TEST) channelMean }
  history { epoch trainLoss seconds } steps(maxPoints: 10) { step epoch } evaluation { accuracy confusion perClass { className f1 } }
  logs(first: 2) { totalCount nodes { level message at } pageInfo { endCursor hasNextPage } }
  version { version cached createdAt model { name } run { number } evaluation { loss top5Accuracy }
    artifacts { kind bytes sha256 downloadUrl } } } }`;

test('a run answers with all that belongs to it', async () => {
  const { model, dataset, run, sha256, onnx } = await finishedRun();
  const { data, errors } = await platform.graphql(RUN, { id: run.id });
  expect(errors).toBeUndefined();
  expect(data.run).toMatchObject({
    number: run.number, status: 'SUCCEEDED', config: { epochs: 2 }, engine: 'ONEDNN', precision: 'FLOAT32', worker: 'w1',
    progress: 1, epoch: 2, step: 1_000, totalSteps: 1_000, etaSeconds: null, queuePosition: null, attempts: 2, failure: null,
    tags: ['x'], model: { name: model.name }, history: [{ epoch: 1, trainLoss: 1, seconds: 3 }, { epoch: 2, trainLoss: 0.5 }],
    dataset: { name: dataset.name, version: 1, bytes: 2 ** 40, size: 64, classCounts: [4, 4, 4, 4], channelMean: [0.5] },
    evaluation: { accuracy: 0.75, confusion: [[3, 1], [0, 4]], perClass: [{ className: 'a' }, { className: 'b', f1: 0.889 }] },
    logs: { totalCount: 3, nodes: [{ level: 'info', message: 'first' }, { message: 'second' }], pageInfo: { hasNextPage: true } },
    version: { version: 2, cached: false, model: { name: model.name }, run: { number: run.number },
      evaluation: { loss: 0.25, top5Accuracy: null }, artifacts: [{ kind: 'ONNX', bytes: onnx.length, sha256 }] },
  }); // prettier-ignore
  expect(data.run.createdAt).toBe(run.createdAt.toISOString());
  const steps = data.run.steps.map(({ step }: { step: number }) => step);
  expect(steps).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1_000]);
});

test("a run's history is given whole or from its last epochs on, each run of a list its own", async () => {
  const runs = await Promise.all([finishedRun(), finishedRun()]);
  await database.epochMetric.update({
    where: { runId_epoch: { runId: runs[1].run.id, epoch: 2 } },
    data: { trainLoss: 0.125 },
  });
  const query = `query ($a: ID!, $b: ID!, $last: Int) {
    a: run(id: $a) { history(last: 1) { epoch trainLoss } all: history(last: 9) { epoch } }
    b: run(id: $b) { history(last: 1) { epoch trainLoss } none: history(last: $last) { epoch } } }`;
  const ids = { a: runs[0].run.id, b: runs[1].run.id };
  const { data } = await platform.graphql(query, { ...ids, last: null });
  expect(data.a).toEqual({ history: [{ epoch: 2, trainLoss: 0.5 }], all: [{ epoch: 1 }, { epoch: 2 }] });
  expect(data.b).toEqual({ history: [{ epoch: 2, trainLoss: 0.125 }], none: [{ epoch: 1 }, { epoch: 2 }] });
  const refused = (await platform.graphql(query, { ...ids, last: 0 })).errors?.[0];
  expect(refused?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'last' });
});

test("a run's log goes on behind its cursor", async () => {
  const { run } = await finishedRun();
  const page = `query ($id: ID!, $after: String) { run(id: $id) {
    logs(first: 2, after: $after) { nodes { message } pageInfo { endCursor } } } }`;
  const first = (await platform.graphql(page, { id: run.id })).data.run.logs;
  const second = (await platform.graphql(page, { id: run.id, after: first.pageInfo.endCursor })).data.run.logs;
  expect(second.nodes).toEqual([{ message: 'third' }]);
});

/** The id of one that is over, with so many trials. */
async function sweepOf(trials: number): Promise<string> {
  const model = await defineSmallModel(database, freshName('m-'));
  const dataset = await createDatasetRow(database, { name: freshName('d-') });
  const { id } = await database.sweep.create({ data: { name: 's', status: 'SUCCEEDED', config: {}, trials } });
  const run = { modelId: model.id, datasetId: dataset.id, status: 'SUCCEEDED', config: {}, plan: {}, totalSteps: 1 } as const;
  const data = Array.from({ length: trials }, (_, index) => ({ ...run, sweepId: id, trial: index + 1 }));
  await database.trainingRun.createMany({ data });
  return id;
}

test("a sweep's runs lead back to all of them, and where that is too many they are refused", async () => {
  const around = 'query ($id: ID!) { sweep(id: $id) { runs { trial sweep { runs { trial } } } } }';
  const few = await platform.graphql(around, { id: await sweepOf(3) });
  const runs = [1, 2, 3].map((trial) => ({ trial }));
  expect(few.data.sweep.runs).toEqual(runs.map((run) => ({ ...run, sweep: { runs } })));
  const many = await platform.graphql(around, { id: await sweepOf(150) });
  expect(many.errors?.[0]?.extensions.code).toBe('QUERY_TOO_COMPLEX');
  expect(many.data.sweep.runs).toHaveLength(150);
  expect(many.data.sweep.runs.at(-1)).toEqual({ trial: 150, sweep: null });
});

test('an artifact is downloaded by its URL, without a key, and is what its hash says', async () => {
  const { run, sha256 } = await finishedRun();
  const { data } = await platform.graphql(RUN, { id: run.id });
  const response = await fetch(data.run.version.artifacts[0].downloadUrl);
  expect(response.status).toBe(200);
  const bytes = Buffer.from(await response.arrayBuffer());
  expect(createHash('sha256').update(bytes).digest('hex')).toBe(sha256);
});

test('a model lists its runs and versions, and finds one of them by number and by latest', async () => {
  const { model, run } = await finishedRun();
  const { data } = await platform.graphql(
    `query ($name: String!) { model(name: $name) { runs { nodes { id } } versions { totalCount nodes { version } }
      first: version(ref: "1") { version run { id } } newest: version(ref: "latest") { version run { id } } } }`,
    { name: model.name },
  );
  expect(data.model).toEqual({
    runs: { nodes: [{ id: run.id }] },
    versions: { totalCount: 2, nodes: [{ version: 2 }, { version: 1 }] },
    first: { version: 1, run: null },
    newest: { version: 2, run: { id: run.id } },
  });
});

test('runs are listed by model, state and tag', async () => {
  const { model, run } = await finishedRun();
  const list = `query ($model: String, $status: [RunStatus!], $tag: String) {
    runs(model: $model, status: $status, tag: $tag) { nodes { id } } }`;
  const found = async (variables: object) => (await platform.graphql(list, { ...variables })).data.runs.nodes;
  expect(await found({ model: model.name, status: ['FAILED', 'SUCCEEDED'], tag: 'x' })).toEqual([{ id: run.id }]);
  for (const other of [{ status: ['FAILED'] }, { status: [] }, { tag: 'y' }])
    expect(await found({ model: model.name, ...other })).toEqual([]);
});

test('a prediction tells the version, which is cached from then on, until its model is deleted', async () => {
  const { model, run } = await finishedRun();
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
  const predict = `query ($model: String!, $images: [Byte!]!) { predict(input: { model: $model, images: $images, topK: 2 }) {
    modelVersion { version cached model { name } } predictions { top { index className probability } } cacheHit batchSize } }`;
  const { data, errors } = await platform.graphql(predict, { model: model.name, images: [png, png] });
  expect(errors).toBeUndefined();
  expect(data.predict).toMatchObject({ modelVersion: { version: 2, cached: true, model: { name: model.name } }, cacheHit: false });
  const [first, second] = data.predict.predictions;
  expect(first).toEqual(second);
  expect(first.top).toHaveLength(2);
  expect(first.top[0].probability).toBeGreaterThanOrEqual(first.top[1].probability);

  const stats = async () => (await platform.graphql('{ servingStats { cachedModels { bytes version { id } } } }')).data.servingStats;
  const { version } = await database.trainingRun.findUniqueOrThrow({ where: { id: run.id }, include: { version: true } });
  expect(await stats()).toMatchObject({ cachedModels: [{ version: { id: version!.id } }] });
  await platform.graphql('mutation ($name: String!) { deleteModel(name: $name) }', { name: model.name });
  expect(await stats()).toEqual({ cachedModels: [] });
});

/** `asked`: the table of each query. */
function countingLoaders() {
  const asked: string[] = [];
  const counting = database.$extends({
    query: {
      $allOperations: ({ model: table, query, args }) => {
        asked.push(String(table));
        return query(args);
      },
    },
  });
  return { loaders: createLoaders(counting as unknown as Database), asked };
}

test('a list of runs asks for its joins once each, not once a run', async () => {
  const { model, dataset, run } = await finishedRun();
  const data = { modelId: model.id, datasetId: dataset.id, config: {}, plan: {}, totalSteps: 1 };
  const others = await database.trainingRun.createManyAndReturn({ data: Array.from({ length: 19 }, () => data) });
  const { loaders, asked } = countingLoaders();
  const joined = await Promise.all(
    [run, ...others].map(async ({ id, modelId, datasetId }) => ({
      model: (await loaders.model.load(modelId))?.id,
      dataset: (await loaders.dataset.load(datasetId))?.id,
      version: (await loaders.versionOfRun.load(id))?.version,
      epochs: (await loaders.history.load(id)).length,
    })),
  );
  expect(joined[0]).toEqual({ model: model.id, dataset: dataset.id, version: 2, epochs: 2 });
  expect(joined[19]).toEqual({ model: model.id, dataset: dataset.id, version: undefined, epochs: 0 });
  expect(asked.toSorted()).toEqual(['Dataset', 'EpochMetric', 'Model', 'ModelVersion']);
});

test("a sweep's runs are read once, however many ask for them at once", async () => {
  const id = await sweepOf(3);
  const { loaders, asked } = countingLoaders();
  const lists = await Promise.all([1, 2, 3].map(() => loaders.runsOfSweep.load(id)));
  for (const runs of lists) expect(runs.map(({ trial }) => trial)).toEqual([1, 2, 3]);
  expect(asked).toEqual(['TrainingRun']);
});
