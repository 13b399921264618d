import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ensureAdminKey } from '../../src/access/api-keys.js';
import { ROLES, type Role } from '../../src/access/roles.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { freshName } from '../helpers/databases.js';
import { startPlatform, type GraphQLAnswer, type TestPlatform } from '../helpers/platform.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

/** The least role that each root field takes. A field that is not here fails the test. */
const NEEDED: Record<string, Role> = {
  'query model': 'VIEWER', 'query models': 'VIEWER', 'query dataset': 'VIEWER', 'query datasets': 'VIEWER',
  'query run': 'VIEWER', 'query runs': 'VIEWER', 'query workers': 'VIEWER', 'query queueStats': 'VIEWER',
  'query compareRuns': 'VIEWER', 'subscription runsChanged': 'VIEWER',
  'query presets': 'VIEWER', 'query previewArchitecture': 'VIEWER',
  'query servingStats': 'VIEWER', 'query predict': 'PREDICTOR', 'query apiKeys': 'ADMIN',
  'mutation predict': 'PREDICTOR', 'mutation defineModel': 'TRAINER', 'mutation deleteModel': 'TRAINER',
  'mutation createDataset': 'TRAINER', 'mutation completeDataset': 'TRAINER', 'mutation deleteDataset': 'TRAINER',
  'mutation startTraining': 'TRAINER', 'mutation cancelTraining': 'TRAINER',
  'mutation pauseTraining': 'TRAINER', 'mutation resumeTraining': 'TRAINER',
  'mutation createWeightsUpload': 'TRAINER', 'mutation importWeights': 'TRAINER', 'mutation quantizeVersion': 'TRAINER',
  'mutation setAlias': 'TRAINER', 'mutation removeAlias': 'TRAINER', 'mutation deleteVersion': 'TRAINER',
  'query sweep': 'VIEWER', 'query sweeps': 'VIEWER', 'mutation startSweep': 'TRAINER', 'mutation cancelSweep': 'TRAINER',
  'mutation configureServing': 'TRAINER',
  'mutation createApiKey': 'ADMIN', 'mutation revokeApiKey': 'ADMIN',
  'subscription runProgress': 'VIEWER',
}; // prettier-ignore

/** Arguments that pass the schema and name nothing that is there. */
const SHAPE = 'inputShape: { height: 8, width: 8, channels: 3 }';
const ARGUMENTS: Record<string, string> = {
  model: '(name: "none") { id }', models: '{ totalCount }', dataset: '(name: "none") { id }',
  datasets: '{ totalCount }', run: '(id: "none") { id }', runs: '{ totalCount }', workers: '{ id }',
  presets: '{ depth }', previewArchitecture: `(preset: RESNET20, ${SHAPE}, numClasses: 2) { depth }`,
  queueStats: '{ waiting }', servingStats: '{ requests }', apiKeys: '{ id }', runProgress: '(id: "none") { id }',
  predict: '(input: { model: "none", images: [] }) { latencyMs }',
  defineModel: `(input: { name: "X", preset: RESNET20, ${SHAPE}, classNames: [] }) { id }`,
  configureServing: '(model: "none", input: {}) { maxBatch }',
  deleteModel: '(name: "none")', createDataset: '(input: { name: "X", format: IDX }) { dataset { id } }',
  completeDataset: '(id: "none") { id }', deleteDataset: '(name: "none", version: 1)',
  startTraining: '(input: { model: "none", dataset: "none" }) { id }', cancelTraining: '(id: "none") { id }',
  pauseTraining: '(id: "none") { id }', resumeTraining: '(id: "none") { id }',
  createWeightsUpload: '(model: "none") { id }', importWeights: '(model: "none", safetensors: "none") { id }',
  quantizeVersion: '(model: "none", version: 1) { id }',
  compareRuns: '(ids: ["none"]) { differences { path } }', runsChanged: '{ id }',
  setAlias: '(model: "none", alias: "a", version: 1) { name }', removeAlias: '(model: "none", alias: "a")',
  deleteVersion: '(model: "none", version: 1)',
  sweep: '(id: "none") { id }', sweeps: '{ totalCount }', cancelSweep: '(id: "none") { id }',
  startSweep: '(input: { name: "X", base: { model: "none", dataset: "none" }, parameters: [] }) { id }',
  createApiKey: '(name: "", role: VIEWER) { secret }', revokeApiKey: '(id: "none")',
}; // prettier-ignore

let platform: TestPlatform;
let database: Database;
beforeAll(async () => {
  platform = await startPlatform();
  database = connectDatabase(platform.env['DATABASE_URL']!);
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

const documentOf = (field: string) => `${field.replace(' ', ' { ')} ${ARGUMENTS[field.split(' ')[1]!]} }`;
const hashOf = (secret: string) => createHash('sha256').update(secret).digest('hex');
const rowOf = (secret: string) => database.apiKey.findUniqueOrThrow({ where: { secretHash: hashOf(secret) } });
const codeOf = ({ errors }: GraphQLAnswer) => errors?.[0]?.extensions.code;

async function rootFields(): Promise<string[]> {
  const { data } = await platform.graphql('{ __schema { types { name fields { name } } } }', {}, { key: null });
  const types = data.__schema.types as { name: string; fields: { name: string }[] }[];
  return ['Query', 'Mutation', 'Subscription'].flatMap((root) =>
    types.find(({ name }) => name === root)!.fields.map(({ name }) => `${root.toLowerCase()} ${name}`),
  );
}

describe('a root field', () => {
  test('is in the table of roles, all of them are, and anybody may look at the schema', async () => {
    expect((await rootFields()).toSorted()).toEqual(Object.keys(NEEDED).toSorted());
  });

  const overHttp = Object.entries(NEEDED).filter(([field]) => !field.startsWith('subscription'));

  test.each(overHttp)('%s is refused without a key and with a wrong one', async (field) => {
    expect(codeOf(await platform.graphql(documentOf(field), {}, { key: null }))).toBe('UNAUTHENTICATED');
    expect(codeOf(await platform.graphql(documentOf(field), {}, { key: 'rsd_wrong' }))).toBe('UNAUTHENTICATED');
  });

  test('is open to its role and above and to no role below, and the refusal names the role', async () => {
    const keys = Object.fromEntries(
      await Promise.all(ROLES.map(async (role) => [role, await platform.createKey(role)] as const)),
    );
    for (const [field, needed] of overHttp)
      for (const role of ROLES) {
        const answer = await platform.graphql(documentOf(field), {}, { key: keys[role]! });
        if (ROLES.indexOf(role) >= ROLES.indexOf(needed)) {
          expect([undefined, 'NOT_FOUND', 'BAD_USER_INPUT'], `${field} as ${role}`).toContain(codeOf(answer));
        } else {
          expect(codeOf(answer), `${field} as ${role}`).toBe('FORBIDDEN');
          expect(answer.errors?.[0]?.message).toContain(needed);
        }
      }
  });
});

describe('a key', () => {
  test('is shown once and stored as its SHA-256 alone', async () => {
    const { data } = await platform.graphql(
      'mutation { createApiKey(name: "once", role: VIEWER) { secret key { id name role lastUsedAt expiresAt } } }',
    );
    const { secret, key } = data.createApiKey as { secret: string; key: { id: string } };
    expect(secret).toMatch(/^rsd_[\w-]{43}$/);
    expect(key).toMatchObject({ name: 'once', role: 'VIEWER', lastUsedAt: null, expiresAt: null });
    const row = await database.apiKey.findUniqueOrThrow({ where: { id: key.id } });
    expect(row.secretHash).toBe(hashOf(secret));
    expect(JSON.stringify(row)).not.toContain(secret);
  });

  test('says when it was last used, and is not written again within the minute', async () => {
    const key = await platform.createKey('VIEWER');
    await platform.graphql('{ queueStats { waiting } }', {}, { key });
    const { lastUsedAt } = await rowOf(key);
    expect(Date.now() - lastUsedAt!.getTime()).toBeLessThan(10_000);
    await sleep(1_100);
    await platform.graphql('{ queueStats { waiting } }', {}, { key });
    expect((await rowOf(key)).lastUsedAt).toEqual(lastUsedAt);
  });

  test('that is revoked is refused from then on, and revoking it again finds nothing', async () => {
    const key = await platform.createKey('VIEWER');
    expect(codeOf(await platform.graphql('{ queueStats { waiting } }', {}, { key }))).toBeUndefined();
    const { id } = await rowOf(key);
    const revoke = 'mutation ($id: ID!) { revokeApiKey(id: $id) }';
    expect((await platform.graphql(revoke, { id })).data).toEqual({ revokeApiKey: true });
    expect(codeOf(await platform.graphql('{ queueStats { waiting } }', {}, { key }))).toBe('UNAUTHENTICATED');
    expect(codeOf(await platform.graphql(revoke, { id }))).toBe('NOT_FOUND');
  });

  test('that another process deleted is refused within two seconds', async () => {
    const key = await platform.createKey('VIEWER');
    await platform.graphql('{ queueStats { waiting } }', {}, { key });
    await database.apiKey.delete({ where: { secretHash: hashOf(key) } });
    await sleep(2_000);
    expect(codeOf(await platform.graphql('{ queueStats { waiting } }', {}, { key }))).toBe('UNAUTHENTICATED');
  });

  test('ends with its expiry, which must lie in the future', async () => {
    const create = 'mutation ($at: DateTime) { createApiKey(name: "brief", role: VIEWER, expiresAt: $at) { secret } }';
    const past = await platform.graphql(create, { at: new Date(Date.now() - 1_000).toISOString() });
    expect(past.errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'expiresAt' });
    const { data } = await platform.graphql(create, { at: new Date(Date.now() + 3_600_000).toISOString() });
    const key = data.createApiKey.secret as string;
    expect(codeOf(await platform.graphql('{ queueStats { waiting } }', {}, { key }))).toBeUndefined();
    await database.apiKey.update({ where: { secretHash: hashOf(key) }, data: { expiresAt: new Date() } });
    await sleep(2_000);
    expect(codeOf(await platform.graphql('{ queueStats { waiting } }', {}, { key }))).toBe('UNAUTHENTICATED');
  });

  test('of the configuration is one key however often it is ensured, and takes the place of the one before', async () => {
    const [former, secret] = [freshName('configured-'), freshName('configured-')];
    await database.apiKey.updateMany({ where: { configured: true }, data: { configured: false } });
    await ensureAdminKey({ database }, former);
    await Promise.all([1, 2, 3, 4].map(() => ensureAdminKey({ database }, secret)));
    expect(await database.apiKey.findMany({ where: { configured: true } })).toMatchObject([{ secretHash: hashOf(secret) }]);
    expect((await platform.graphql('{ apiKeys { id } }', {}, { key: secret })).errors).toBeUndefined();
    expect(codeOf(await platform.graphql('{ apiKeys { id } }', {}, { key: former }))).toBe('UNAUTHENTICATED');
  });
});

describe('a subscription', () => {
  const PROGRESS = 'subscription ($id: ID!) { runProgress(id: $id) { id status } }';

  async function waitingRun(): Promise<string> {
    const model = await createModelRow(database, freshName('m-'));
    const dataset = await createDatasetRow(database, { name: freshName('d-') });
    return (await createRunRow(database, { model, dataset })).id;
  }

  /** Every value until the end, and the error that it ended with. */
  async function follow(key: string, id: string, onValue: () => unknown = () => undefined): Promise<unknown> {
    try {
      for await (const _ of platform.subscribe(PROGRESS, { id }, { key })) await onValue();
      return undefined;
    } catch (error) {
      return error;
    }
  }

  test('takes its key from the connection parameters and is refused without one, and with another', async () => {
    const id = await waitingRun();
    for (const key of ['', 'rsd_wrong']) expect(await follow(key, id), key).toMatchObject({ code: 'UNAUTHENTICATED' });
    const values = platform.subscribe(PROGRESS, { id }, { key: await platform.createKey('VIEWER') })[Symbol.asyncIterator]();
    expect((await values.next()).value).toEqual({ runProgress: { id, status: 'QUEUED' } });
    await values.return?.();
  });

  test('ends when its key is revoked', async () => {
    const key = await platform.createKey('VIEWER');
    const revoke = () => database.apiKey.deleteMany({ where: { secretHash: hashOf(key) } });
    const end = await follow(key, await waitingRun(), revoke);
    expect(end).toMatchObject({ code: 'UNAUTHENTICATED' });
  });

  test('to a run that is not there is an error', async () => {
    expect(await follow(platform.adminKey, 'none')).toMatchObject({ code: 'NOT_FOUND' });
  });
});
