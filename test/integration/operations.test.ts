import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getIntrospectionQuery } from 'graphql';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { connectDatabase } from '../../src/infra/database.js';
import { freshBucket } from '../helpers/buckets.js';
import { databaseUrl, freshDatabase, freshName } from '../helpers/databases.js';
import { openGate } from '../helpers/gate.js';
import { startPlatform, type TestPlatform } from '../helpers/platform.js';
import { createDatasetRow, createModelRow, createRunRow } from '../helpers/rows.js';

const MAIN = path.resolve(import.meta.dirname, '../../dist/src/main.js');
const LIST = '{ models { totalCount } }';
const DEFINE = `mutation ($name: String!) { defineModel(input: { name: $name, preset: RESNET20, classNames: ["a", "b"]
  inputShape: { height: 32, width: 32, channels: 3 } }) { id } }`;

async function start(env: Record<string, string> = {}): Promise<TestPlatform> {
  const platform = await startPlatform({ env });
  onTestFinished(() => platform.stop());
  return platform;
}

async function page({ url }: TestPlatform, name: string, headers: Record<string, string> = {}) {
  const response = await fetch(new URL(name, url), { headers });
  return { status: response.status, type: response.headers.get('content-type'), text: await response.text() };
}

const linesOf = ({ api }: TestPlatform) => api.said().trim().split('\n').map((line) => JSON.parse(line));

describe('a process whose stores are there', () => {
  let platform: TestPlatform;
  beforeAll(async () => {
    platform = await startPlatform();
  });
  afterAll(() => platform.stop());

  test('says that it lives and that it is ready', async () => {
    expect(await page(platform, '/healthz')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    const { status, text } = await page(platform, '/readyz');
    expect(status).toBe(200);
    expect(JSON.parse(text)).toEqual({ status: 'ok', parts: { database: 'ok', queue: 'ok', objects: 'ok' } });
  });

  test('tells Prometheus how it does', async () => {
    await platform.graphql('{ workers { id } }');
    await platform.graphql('{ datasets(first: 101) { totalCount } }');
    const { type, text } = await page(platform, '/metrics');
    expect(type).toContain('text/plain');
    expect(text).toContain('residual_graphql_operations_total{operation="workers",kind="query",code="OK"} 1');
    expect(text).toContain('residual_graphql_operations_total{operation="datasets",kind="query",code="BAD_USER_INPUT"} 1');
    expect(text).toContain('residual_queue_jobs{queue="train",state="waiting"} 0');
    expect(text).toContain('residual_training_images_per_second 0');
    for (const name of ['predictions_total', 'predicted_images_total', 'model_cache_bytes', 'model_cache_hits_total'])
      expect(text).toContain(`# TYPE residual_${name} `);
  });

  test('shows Apollo Sandbox to a browser, with this endpoint and a header for the key, and the dashboard at its root', async () => {
    const { status, text } = await page(platform, '/graphql', { accept: 'text/html' });
    expect(status).toBe(200);
    expect(text).toContain('embeddable-sandbox');
    expect(text).toContain('"headers":{"authorization":""}');
    expect(text).toContain('initialEndpoint = window.location.href');
    expect((await page(platform, '/', { accept: 'text/html' })).text).toContain('<title>residual</title>');
  });

  const nested = (levels: number): string => (levels === 0 ? 'id' : `model { runs { nodes { ${nested(levels - 1)} } } }`);
  const within = (fields: string, times: number, innermost: string) =>
    `${fields.repeat(times)} ${innermost} ${'}'.repeat(times * (fields.split('{').length - 1))}`;
  test.each([
    ['too deep', `{ run(id: "none") { ${nested(5)} } }`],
    ['too wide', '{ models(first: 100) { nodes { runs(first: 100) { nodes { id number status } } } } }'],
    ['too wide by its aliases', `{ ${Array.from({ length: 300 }, (_, n) => `a${n}: models(first: 100) { nodes { id } }`).join(' ')} }`],
    ['too wide by the epochs of its runs',
      '{ runs(first: 100) { nodes { history { epoch trainLoss trainAccuracy validationLoss seconds } } } }'],
    ['too wide by the last epochs of its runs', '{ runs(first: 100) { nodes { history(last: 200) { epoch } } } }'],
    ['too wide by a sweep that leads to itself', `{ sweep(id: "none") { ${within('runs { sweep {', 6, 'runs { id }')} } }`],
    ['too wide by aliases that lead to themselves',
      `{ model(name: "none") { ${within('aliases { version { model {', 3, 'aliases { name }')} } }`],
    ['too wide by the points of its curves', '{ runs(first: 10) { nodes { steps(maxPoints: 2500) { step } } } }'],
    ['too wide, whatever is asked for less than nothing beside it',
      `{ models(first: -100000) { nodes { id } } runs(first: 100) { nodes { steps { step loss } } } }`],
    ['too deep by its fragments', `query { run(id: "none") { ...a } } fragment a on TrainingRun { model { runs { nodes { ...b } } } }
      fragment b on TrainingRun { model { runs { nodes { ...c } } } } fragment c on TrainingRun { ${nested(3)} }`],
  ] as const)('refuses a query that is %s', async (_title, document) => {
    const { errors } = await platform.graphql(document);
    expect(errors?.[0]?.extensions.code).toBe('QUERY_TOO_COMPLEX');
  });

  test('refuses a document that it has answered before, where other variables make it too wide', async () => {
    const wide = `query ($n: Int!, $runs: Boolean!) {
      models(first: $n) { nodes { runs(first: 100) @include(if: $runs) { nodes { id } } } } }`;
    const code = async (variables: object) => (await platform.graphql(wide, { ...variables })).errors?.[0]?.extensions.code;
    const narrow = [{ n: 1, runs: true }, { n: 100, runs: false }];
    for (const variables of narrow) expect(await code(variables)).toBeUndefined();
    expect(await code({ n: 100, runs: true })).toBe('QUERY_TOO_COMPLEX');
    for (const variables of narrow) expect(await code(variables)).toBeUndefined();
    const named = `query ($id: ID!) { run(id: $id) { model { name } }
      models(first: 100) { nodes { runs(first: 100) { nodes { id number } } } } }`;
    for (const id of [null, 'none', null, 'none'])
      expect((await platform.graphql(named, { id })).errors?.[0]?.extensions.code).toBe(id ? 'QUERY_TOO_COMPLEX' : 'BAD_USER_INPUT');
  });

  test('refuses U+0000 in a variable of a document that it has answered before', async () => {
    const search = 'query ($id: ID!) { run(id: $id) { id } }';
    for (const id of ['none', 'n\0', 'none']) {
      const { errors } = await platform.graphql(search, { id });
      expect(errors?.[0]?.extensions).toEqual(id === 'none' ? undefined : { code: 'BAD_USER_INPUT', field: 'id' });
    }
  });

  test('answers the whole introspection, a full page with its joins, and pages of curves and of histories', async () => {
    expect((await platform.graphql(getIntrospectionQuery())).errors).toBeUndefined();
    const joins = `{ runs(first: 100) { nodes {
      id model { name } dataset { name } version { version artifacts { kind downloadUrl } } } } }`;
    expect((await platform.graphql(joins)).errors).toBeUndefined();
    const curves = '{ runs(first: 19) { nodes { steps(maxPoints: 1000) { step } } } }';
    expect((await platform.graphql(curves)).errors).toBeUndefined();
    const histories = '{ runs(first: 100) { nodes { history(last: 20) { epoch trainLoss validationLoss seconds } } } }';
    expect((await platform.graphql(histories)).errors).toBeUndefined();
  });

  test('logs one line for each failed operation, with the key and no secret, and none for the others', async () => {
    const before = linesOf(platform).length;
    await platform.graphql(LIST);
    await platform.graphql('query Mine { models(first: 101) { totalCount } }');
    const lines = linesOf(platform).slice(before);
    expect(lines).toMatchObject([{ operation: 'models', name: 'Mine', kind: 'query', code: 'BAD_USER_INPUT', field: 'first' }]);
    const { data } = await platform.graphql('{ apiKeys { id } }');
    expect(lines[0].keyId).toBe(data.apiKeys[0].id);
    expect(platform.api.said()).not.toContain(platform.adminKey);
  });

  test('counts a subscription while it is open, and logs one that failed', async () => {
    const before = linesOf(platform).length;
    const open = async () => Number(/^residual_graphql_subscriptions (\d+)$/m.exec((await page(platform, '/metrics')).text)?.[1]);
    const id = await waitingRun(platform.env['DATABASE_URL']!);
    const values = platform.subscribe(`subscription { runProgress(id: "${id}") { status } }`)[Symbol.asyncIterator]();
    expect((await values.next()).value).toEqual({ runProgress: { status: 'QUEUED' } });
    expect(await open()).toBe(1);
    await values.return?.();
    await vi.waitFor(async () => expect(await open()).toBe(0), { timeout: 15_000 });

    const failed = async (document: string) => {
      for await (const _ of platform.subscribe(document)) throw new Error('a value');
    };
    await expect(failed('subscription { runProgress(id: "none") { id } }')).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(failed('subscription { nothing }')).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    expect(await open()).toBe(0);
    expect(linesOf(platform).slice(before)).toMatchObject([
      { operation: 'runProgress', kind: 'subscription', code: 'NOT_FOUND', field: 'id', keyId: expect.any(String) },
      { kind: 'invalid', code: 'BAD_USER_INPUT' },
    ]);
  });

  test('logs the original of a fault of ours, of which the caller learns an id', async () => {
    await platform.graphql(DEFINE, { name: 'broken' });
    const database = connectDatabase(platform.env['DATABASE_URL']!);
    await database.model.update({ where: { name: 'broken' }, data: { definition: { stages: 7 } } });
    await database.$disconnect();

    const { errors } = await platform.graphql('{ model(name: "broken") { architecture { depth } } }');
    const { code, correlationId } = errors?.[0]?.extensions as { code: string; correlationId: string };
    expect(code).toBe('INTERNAL_SERVER_ERROR');
    expect(JSON.stringify(errors)).not.toMatch(/stages|TypeError|\.js/);
    const told = linesOf(platform).filter((line) => line.correlationId === correlationId);
    expect(told).toMatchObject([{ err: { type: 'TypeError' } }, { operation: 'model', code }]);
    expect(told[0].err.stack).toContain('flops');
  });
});

describe('a store that is away', () => {
  const stores = {
    database: async () => {
      const gate = await openGate(await freshDatabase());
      return { gate, env: { DATABASE_URL: gate.url } };
    },
    queue: async () => {
      const gate = await openGate(inject('servers').redisUrl);
      return { gate, env: { REDIS_URL: gate.url } };
    },
    objects: async () => {
      const gate = await openGate(inject('servers').objects.endpoint);
      return { gate, env: { S3_ENDPOINT: gate.url } };
    },
  };

  test.each(Object.entries(stores))('makes the process not ready, and its return ready again: %s', async (part, open) => {
    const { gate, env } = await open();
    const platform = await start(env);
    for (const fail of [() => gate.shut(), async () => gate.hold()]) {
      await fail();
      const since = performance.now();
      const { status, text } = await page(platform, '/readyz');
      expect(performance.now() - since).toBeLessThan(4_000);
      expect(status).toBe(503);
      const well = { database: 'ok', queue: 'ok', objects: 'ok' };
      expect(JSON.parse(text)).toEqual({ status: 'unavailable', parts: { ...well, [part]: 'unavailable' } });
      expect((await page(platform, '/healthz')).status).toBe(200);
      await gate.open();
      await vi.waitFor(async () => expect((await page(platform, '/readyz')).status).toBe(200), { timeout: 10_000 });
    }
  });

  test('is SERVICE_UNAVAILABLE to a caller, who learns no host, and nothing is changed', async () => {
    const { gate, env } = await stores.database();
    const platform = await start(env);
    await platform.graphql(LIST);
    await gate.shut();
    for (const document of [LIST, DEFINE]) {
      const { errors } = await platform.graphql(document, { name: 'lost' });
      expect(errors?.[0]?.extensions).toMatchObject({ code: 'SERVICE_UNAVAILABLE', retryable: true });
      expect(JSON.stringify(errors)).not.toMatch(/127\.0\.0\.1|ECONN|prisma/i);
    }
    await gate.open();
    const isBack = async () => expect((await platform.graphql(LIST)).data).toEqual({ models: { totalCount: 0 } });
    await vi.waitFor(isBack, { timeout: 15_000 });
  });
});

describe('SIGTERM', () => {
  /** A process with an open subscription, and a request that waits for the database. */
  async function busy() {
    const url = await freshDatabase();
    const gate = await openGate(url);
    const platform = await start({ DATABASE_URL: gate.url });
    const id = await waitingRun(url);
    const values = platform.subscribe(`subscription { runProgress(id: "${id}") { status } }`)[Symbol.asyncIterator]();
    await values.next();
    const lastValue = drain(values);
    gate.hold();
    const answer = platform.graphql(LIST);
    answer.catch(() => undefined);
    // What it waits for cannot be seen from here.
    await sleep(500);
    return { gate, platform, answer, lastValue };
  }

  async function drain(values: AsyncIterator<unknown>): Promise<string> {
    try {
      while (!(await values.next()).done);
      return 'ended';
    } catch {
      return 'closed';
    }
  }

  test('lets requests end, closes subscriptions, and then the process, in order', async () => {
    const { gate, platform, answer, lastValue } = await busy();
    process.kill(platform.api.pid, 'SIGTERM');
    const asked = () => fetch(platform.url).then(({ status }) => status, (error: Error) => error.message);
    await expect.poll(asked, { timeout: 15_000 }).toBe('fetch failed');
    await gate.open();
    expect((await answer).data).toEqual({ models: { totalCount: 1 } });
    expect(await platform.api.ended).toBe('exit code 0');
    expect(await lastValue).toMatch(/closed|ended/);
    expect(linesOf(platform).slice(-2)).toMatchObject([{ msg: 'stopping' }, { msg: 'stopped' }]);
  });

  test('a second time ends the process at once', async () => {
    const { platform } = await busy();
    process.kill(platform.api.pid, 'SIGTERM');
    await expect.poll(() => platform.api.said(), { timeout: 15_000 }).toContain('"stopping"');
    process.kill(platform.api.pid, 'SIGTERM');
    expect(await platform.api.ended).toBe('exit code 1');
  });
});

describe('a process that cannot start says why on one line and ends with 1:', () => {
  async function environment(): Promise<Record<string, string>> {
    const [DATABASE_URL, bucket] = await Promise.all([freshDatabase(), freshBucket()]);
    return {
      DATABASE_URL,
      PORT: '0',
      REDIS_URL: inject('servers').redisUrl,
      S3_ENDPOINT: bucket.endpoint,
      S3_ACCESS_KEY: bucket.accessKey,
      S3_SECRET_KEY: bucket.secretKey,
      S3_BUCKET: bucket.bucket,
      LOG_LEVEL: 'silent',
    };
  }

  /** Runs it to its end. */
  async function run(env: Record<string, string>) {
    const child = spawn(process.execPath, [MAIN], { env: { PATH: process.env['PATH'], ...env } });
    const said = { stdout: '', stderr: '' };
    child.stdout.on('data', (data) => (said.stdout += data));
    child.stderr.on('data', (data) => (said.stderr += data));
    onTestFinished(() => void child.kill('SIGKILL'));
    const [code] = await once(child, 'close');
    return { code, ...said };
  }

  const withPassword = (url: string) => Object.assign(new URL(url), { password: 'wrong' }).href;
  test.each([
    ['a variable that is missing, and one that is wrong', () => ({ REDIS_URL: '', PORT: 'x' }), /(?=.*\bREDIS_URL is not set)(?=.*\bPORT )/],
    ['a port in use', async () => ({ PORT: String(await takenPort()) }), /address already in use/],
    ['a wrong password of the database', (env) => ({ DATABASE_URL: withPassword(env['DATABASE_URL']!) }), /password.*DATABASE_URL/],
    ['a database that is not there', () => ({ DATABASE_URL: databaseUrl(freshName('none_')) }), /no database none_/],
    ['a wrong password of Redis', (env) => ({ REDIS_URL: withPassword(env['REDIS_URL']!) }), /REDIS_URL/],
    ['a wrong secret of the object store', () => ({ S3_SECRET_KEY: 'wrong' }), /S3|object store/],
  ] as [string, (env: Record<string, string>) => object | Promise<object>, RegExp][])('%s', async (_title, change, reason) => {
    const env = await environment();
    const since = performance.now();
    const { code, stdout, stderr } = await run({ ...env, ...(await change(env)) });
    expect(stderr).toMatch(/^residual: the API cannot start: .+\n$/);
    expect(stderr).toMatch(reason);
    expect(stderr).not.toContain('wrong');
    expect(stdout).toBe('');
    expect(code).toBe(1);
    expect(performance.now() - since).toBeLessThan(20_000);
  });

  test('but one whose database is only starting waits for it', async () => {
    const gate = await openGate(await freshDatabase());
    await gate.shut();
    setTimeout(() => void gate.open(), 2_000);
    const platform = await start({ DATABASE_URL: gate.url });
    expect((await platform.graphql(LIST)).data).toEqual({ models: { totalCount: 0 } });
  });
});

async function waitingRun(url: string): Promise<string> {
  const database = connectDatabase(url);
  const [model, dataset] = await Promise.all([createModelRow(database), createDatasetRow(database)]);
  const { id } = await createRunRow(database, { model, dataset });
  await database.$disconnect();
  return id;
}

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}
