import { once } from 'node:events';
import { mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test, vi } from 'vitest';
import { connectApi } from '../../src/cli/client.js';
import { freePort } from '../../src/local/free-port.js';
import { databaseUrl, freshDatabase } from '../helpers/databases.js';
import { freshBucket } from '../helpers/buckets.js';
import { freshRedisPrefix } from '../helpers/redis.js';
import { processesIn, startCommand, type StartCommand } from '../helpers/start-command.js';

const MODEL = `mutation { defineModel(input: {
  name: "kept", preset: RESNET20, inputShape: { height: 28, width: 28, channels: 1 }, classNames: ["a", "b"]
}) { name } }`;

let dataDir: string;
let started: StartCommand;
const embedded = (more = {}) => startCommand({ PORT: '0', RESIDUAL_DATA_DIR: dataDir, ...more });

beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'residual-start-'));
});
afterAll(async () => {
  started.signal('SIGKILL');
  await vi.waitUntil(() => processesIn(dataDir).length === 0, 20_000);
  await rm(dataDir, { recursive: true, force: true });
});

describe('npm start with embedded servers', { sequential: true }, () => {
  test('prints one line with an address and a key that work, and keeps the secrets to its owner', async () => {
    // No line of its processes' logs is needed to see that they are ready.
    started = embedded({ LOG_LEVEL: 'silent', TRAINING_WORKERS: '2', WORKER_HTTP_PORT: String(await freePort()) });
    const { url, key } = await started.ready;
    expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/graphql$/);
    expect(await connectApi(url, key).request(MODEL)).toEqual({ defineModel: { name: 'kept' } });
    for (const name of ['postgres', 'redis', 's3-secret-key', 'admin-key'])
      expect((await stat(path.join(dataDir, 'secrets', name))).mode & 0o077).toBe(0);
  });

  test('runs as many training workers as it is told, each with its share of the cores', async () => {
    const { url, key } = await started.ready;
    const { workers } = await connectApi(url, key).request<{ workers: unknown }>('{ workers { online threads } }');
    const threads = Math.max(1, Math.floor(availableParallelism() / 2));
    expect(workers).toEqual([{ online: true, threads }, { online: true, threads }]);
  });

  test('refuses a data folder that another one works on, in one line', async () => {
    const { code, stdout, stderr } = await embedded().ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe(
      `residual: ${dataDir} is in use by process ${started.pid}; stop it, or set RESIDUAL_DATA_DIR to another folder\n`,
    );
  });

  test('starts a worker again that was killed, and says so', async () => {
    const { pid } = JSON.parse(await readFile(path.join(dataDir, 'worker-datasets.pid'), 'utf8'));
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => started.stderr(), { timeout: 15_000 }).toContain('worker-datasets ended (signal SIGKILL)');
    const restarted = async () => JSON.parse(await readFile(path.join(dataDir, 'worker-datasets.pid'), 'utf8')).pid;
    await expect.poll(restarted, { timeout: 15_000 }).not.toBe(pid);
  });

  test('stops everything on SIGTERM, exit 0', async () => {
    started.signal('SIGTERM');
    const { code, stdout } = await started.ended;
    expect(code).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(processesIn(dataDir)).toEqual([]);
  });

  test('takes its children with it when it is killed with -9, and starts again with what was there', async () => {
    started = embedded();
    await started.ready;
    started.signal('SIGKILL');
    await started.ended;
    await expect.poll(() => processesIn(dataDir), { timeout: 20_000 }).toEqual([]);
    started = embedded();
    const { url, key } = await started.ready;
    const { model } = await connectApi(url, key).request<{ model: unknown }>('{ model(name: "kept") { name } }');
    expect(model).toEqual({ name: 'kept' });
  });

  test.each([
    ['the API', 'api'],
    ['a server', 'redis'],
  ])('ends with one line and exit 1 when %s dies, with nothing left running', async (_, name) => {
    if (name !== 'api') {
      started = embedded();
      await started.ready;
    }
    process.kill(JSON.parse(await readFile(path.join(dataDir, `${name}.pid`), 'utf8')).pid, 'SIGKILL');
    const { code, stderr } = await started.ended;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^residual: .* ended \(signal SIGKILL\).*; its log: .*\n$/);
    expect(processesIn(dataDir)).toEqual([]);
  });

  test('says which program is missing and what installs it', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'residual-path-'));
    onTestFinished(() => rm(folder, { recursive: true }));
    await symlink('/usr/bin/setpriv', path.join(folder, 'setpriv'));
    const { code, stdout, stderr } = await embedded({ PATH: folder }).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toBe('residual: redis did not start: redis-server is not installed: apt-get install redis-server\n');
    expect(processesIn(dataDir)).toEqual([]);
  });
});

describe('npm start with servers that are given', () => {
  const given = async () => {
    const bucket = await freshBucket();
    return {
      DATABASE_URL: await freshDatabase(),
      REDIS_URL: inject('servers').redisUrl,
      REDIS_PREFIX: freshRedisPrefix(),
      S3_ENDPOINT: bucket.endpoint,
      S3_ACCESS_KEY: bucket.accessKey,
      S3_SECRET_KEY: bucket.secretKey,
      S3_BUCKET: bucket.bucket,
    };
  };
  /** Runs one that cannot start, in a folder of its own: what it said on stderr. */
  const refusal = async (environment: Record<string, string>) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'residual-start-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const command = startCommand({ PORT: '0', RESIDUAL_DATA_DIR: folder, ...environment });
    const { code, stdout, stderr } = await command.ended;
    expect({ code, stdout, left: processesIn(folder) }).toEqual({ code: 1, stdout: '', left: [] });
    expect(stderr).toMatch(/^residual: [^\n]*\n$/);
    return stderr;
  };

  test('a port in use is one line', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const { port } = other.address() as AddressInfo;
    const said = await refusal({ ...(await given()), PORT: String(port) });
    expect(said).toBe(`residual: port ${port} of 127.0.0.1 is in use (PORT)\n`);
  });

  test('a wrong password of the database is one line', async () => {
    const wrong = Object.assign(new URL(databaseUrl('postgres')), { password: 'wrong' }).href;
    expect(await refusal({ ...(await given()), DATABASE_URL: wrong })).toMatch(/password/);
  });

  test('a wrong password of Redis is one line', async () => {
    const wrong = Object.assign(new URL(inject('servers').redisUrl), { password: 'wrong' }).href;
    expect(await refusal({ ...(await given()), REDIS_URL: wrong })).toMatch(/queue.*WRONGPASS/);
  });

  test('a wrong key of the object store is one line', async () => {
    expect(await refusal({ ...(await given()), S3_SECRET_KEY: 'wrong' })).toMatch(/object store refuses/);
  });

  test('a malformed environment is one line that names each fault', async () => {
    const said = await refusal({ PORT: 'many', LOG_LEVEL: 'loud', S3_ENDPOINT: 'http://127.0.0.1:1' });
    expect(said).toMatch(/PORT .*LOG_LEVEL /);
  });
});
