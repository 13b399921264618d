import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { defineModel } from '../../src/models/define-model.js';
import { deleteModel } from '../../src/models/delete-model.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore, type ObjectStore } from '../../src/infra/objects.js';
import type { RunStatus } from '../../src/infra/prisma/client.js';
import { freshBucket } from '../helpers/buckets.js';
import { freshName } from '../helpers/databases.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';

let platform: TestPlatform;
let database: Database;
let objects: ObjectStore;
beforeAll(async () => {
  objects = createObjectStore(await freshBucket());
  platform = await startPlatform();
  database = connectDatabase(platform.env['DATABASE_URL']!);
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const DEFINE = `mutation ($input: DefineModelInput!) { defineModel(input: $input) {
  id name description classNames inputShape { height width channels }
  architecture { preset definition depth parameters flops activationBytes layers { name kind outputShape parameters flops } }
} }`;
const CLASS_NAMES = ['cat', 'dog', 'owl', 'elk', 'ant', 'bee', 'cow', 'eel', 'fox', 'gnu'];
const cifar = (changes = {}) => ({
  name: freshName('m-'),
  preset: 'RESNET20',
  inputShape: { height: 32, width: 32, channels: 3 },
  classNames: CLASS_NAMES,
  ...changes,
});

describe('a model', () => {
  test('answers with the architecture that its paper counts', async () => {
    const input = cifar({ description: 'He et al. 2015, section 4.2' });
    const { data, errors } = await platform.graphql(DEFINE, { input });
    expect(errors).toBeUndefined();
    const { architecture, ...model } = data.defineModel;
    const { name, description, inputShape, classNames } = input as typeof input & { description: string };
    expect(model).toMatchObject({ name, description, inputShape, classNames });
    expect(architecture).toMatchObject({ preset: 'RESNET20', depth: 20, parameters: 269_722 });
    expect(architecture.layers[0]).toEqual({
      name: 'conv1', kind: 'conv', outputShape: [16, 32, 32], parameters: 432, flops: 2 * 432 * 32 * 32,
    }); // prettier-ignore
    const sum = (field: string) => architecture.layers.reduce((total: number, layer: Record<string, number>) => total + layer[field]!, 0);
    expect(sum('parameters')).toBe(architecture.parameters);
    expect(sum('flops')).toBe(architecture.flops);
  });

  test('defined from a definition has the same network', async () => {
    const inputShape = { height: 64, width: 64, channels: 3 };
    const first = await platform.graphql(DEFINE, { input: cifar({ preset: 'RESNET50D', inputShape }) });
    const { definition, ...summary } = first.data.defineModel.architecture;
    const offered = ['block', 'stem', 'stages', 'shortcut', 'shortcutNorm', 'groups', 'widthPerGroup', 'widthMultiplier',
      'strideInFirstConv', 'convBias', 'zeroInitResidual']; // prettier-ignore
    const architecture = Object.fromEntries(offered.map((field) => [field, definition[field]]));
    const again = await platform.graphql(DEFINE, { input: cifar({ preset: null, architecture, inputShape }) });
    expect(again.errors).toBeUndefined();
    expect(again.data.defineModel.architecture).toEqual({ ...summary, preset: null, definition: { ...definition, preset: null } });
  });

  test('takes its name alone: of many that ask for it at once, one gets it', async () => {
    const input = cifar();
    const answers = await Promise.all([1, 2, 3, 4].map(() => platform.graphql(DEFINE, { input })));
    const refused = answers.flatMap(({ errors }) => errors ?? []);
    expect(refused.map(({ extensions: { code, field } }) => ({ code, field }))).toEqual(
      Array.from({ length: 3 }, () => ({ code: 'CONFLICT', field: 'input.name' })),
    );
    expect(await database.model.count({ where: { name: input.name } })).toBe(1);
  });

  test('is found by its name, and one that is not there is null', async () => {
    const { name } = (await platform.graphql(DEFINE, { input: cifar() })).data.defineModel;
    const find = `query ($name: String!) { model(name: $name) {
      name runs { totalCount } versions { nodes { id } } version(ref: "latest") { id }
    } }`;
    const { data } = await platform.graphql(find, { name });
    expect(data.model).toEqual({ name, runs: { totalCount: 0 }, versions: { nodes: [] }, version: null });
    expect((await platform.graphql(find, { name: 'nobody' })).data).toEqual({ model: null });
  });

  test('refuses a reference that is none', async () => {
    const { name } = (await platform.graphql(DEFINE, { input: cifar() })).data.defineModel;
    const { errors } = await platform.graphql('query ($name: String!) { model(name: $name) { version(ref: "V1") { id } } }', { name });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'ref' });
  });
});

describe('the list of models', () => {
  const LIST = `query ($first: Int, $after: String, $last: Int, $before: String, $search: String) {
    models(first: $first, after: $after, last: $last, before: $before, search: $search) {
      totalCount nodes { name } edges { cursor node { name } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    } }`;
  const tag = freshName('list-');
  const list = async (variables: Record<string, unknown>) =>
    (await platform.graphql(LIST, { search: tag, ...variables })).data.models as {
      totalCount: number;
      nodes: { name: string }[];
      pageInfo: { hasNextPage: boolean; hasPreviousPage: boolean; startCursor: string; endCursor: string };
    };
  const names = ({ nodes }: { nodes: { name: string }[] }) => nodes.map(({ name }) => name.slice(tag.length));

  beforeAll(async () => {
    for (const letter of 'abcde') await platform.graphql(DEFINE, { input: cifar({ name: `${tag}${letter}` }) });
  });

  test('has the newest first, in pages that follow one another without a gap', async () => {
    const first = await list({ first: 2 });
    expect(names(first)).toEqual(['e', 'd']);
    expect(first).toMatchObject({ totalCount: 5, pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const second = await list({ first: 2, after: first.pageInfo.endCursor });
    expect(names(second)).toEqual(['c', 'b']);
    const third = await list({ first: 2, after: second.pageInfo.endCursor });
    expect(names(third)).toEqual(['a']);
    expect(third.pageInfo.hasNextPage).toBe(false);
  });

  test('is read backwards too', async () => {
    const last = await list({ last: 2 });
    expect(names(last)).toEqual(['b', 'a']);
    expect(names(await list({ last: 2, before: last.pageInfo.startCursor }))).toEqual(['d', 'c']);
  });

  test('is counted by a page of none', async () => {
    expect(await list({ first: 0 })).toMatchObject({ totalCount: 5, nodes: [], pageInfo: { hasNextPage: true } });
    expect(await list({ last: 0 })).toMatchObject({ totalCount: 5, nodes: [] });
  });

  test('is searched by a part of the name or the description, in any case, letter by letter', async () => {
    const word = freshName('Zebra_100%');
    await platform.graphql(DEFINE, { input: cifar({ name: `${tag}f`, description: `about a ${word}` }) });
    expect(names(await list({ search: word.toUpperCase() }))).toEqual(['f']);
    expect(names(await list({ search: word.replace('_', '.').replace('%', '.') }))).toEqual([]);
    expect(names(await list({ search: `${tag}%` }))).toEqual([]);
    expect(names(await list({ search: `${tag.slice(0, -1)}_` }))).toEqual([]);
    await deleteModel({ database, objects }, `${tag}f`);
  });

  test.each([
    { page: { first: 101 }, field: 'first' },
    { page: { first: -1 }, field: 'first' },
    { page: { last: 101 }, field: 'last' },
    { page: { first: 1, last: 1 }, field: 'last' },
    { page: { first: 1, after: 'bm90IGEgY3Vyc29y' }, field: 'after' },
    { page: { last: 1, before: '%%%' }, field: 'before' },
    { page: { last: 1, after: 'x' }, field: 'after' },
    { page: { first: 1, before: 'x' }, field: 'before' },
  ])('refuses $page', async ({ page, field }) => {
    const { errors } = await platform.graphql(LIST, page);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
  });
});

describe('deleting a model', () => {
  const DELETE = 'mutation ($name: String!) { deleteModel(name: $name) }';

  /** A model with a run in that state. */
  async function modelWithRun(status: RunStatus): Promise<string> {
    const input = cifar() as unknown as Parameters<typeof defineModel>[1];
    const model = await defineModel({ database }, input);
    const dataset = await database.dataset.create({ data: { name: freshName('d-'), version: 1, format: 'IDX' } });
    await database.trainingRun.create({
      data: { modelId: model.id, datasetId: dataset.id, config: {}, plan: {}, totalSteps: 1, status },
    });
    return model.name;
  }

  test.each(['QUEUED', 'RUNNING', 'PAUSED'] as const)('is refused while a run is %s', async (status) => {
    const name = await modelWithRun(status);
    const { errors } = await platform.graphql(DELETE, { name });
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'CONFLICT', field: 'name' });
    expect(await database.model.count({ where: { name } })).toBe(1);
  });

  test.each(['SUCCEEDED', 'FAILED', 'CANCELLED'] as const)('takes its runs along once they are %s', async (status) => {
    const name = await modelWithRun(status);
    expect((await platform.graphql(DELETE, { name })).data).toEqual({ deleteModel: true });
    expect(await database.trainingRun.count({ where: { model: { name } } })).toBe(0);
    expect((await platform.graphql(DELETE, { name })).errors?.[0]?.extensions).toMatchObject({ code: 'NOT_FOUND', field: 'name' });
  });

  test('and starting a run of it at once never leaves a run without its model', async () => {
    for (let round = 0; round < 10; round++) {
      const name = await modelWithRun('SUCCEEDED');
      const model = await database.model.findUniqueOrThrow({ where: { name }, include: { runs: true } });
      const { datasetId } = model.runs[0]!;
      const run = { modelId: model.id, datasetId, config: {}, plan: {}, totalSteps: 1 };
      const [deleted, started] = await Promise.allSettled([
        deleteModel({ database, objects }, name),
        database.trainingRun.create({ data: run }),
      ]);
      expect([deleted.status, started.status].toSorted()).toEqual(['fulfilled', 'rejected']);
      expect(await database.model.count({ where: { name } })).toBe(deleted.status === 'fulfilled' ? 0 : 1);
    }
  });
});
