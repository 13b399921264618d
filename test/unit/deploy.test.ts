import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { environmentSchema, readConfig } from '../../src/config.js';

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');

interface Service {
  image?: string;
  build?: { context: string; dockerfile: string; target: string };
  command?: string[];
  environment?: Record<string, string | number>;
  volumes?: string[];
  ports?: string[];
  profiles?: string[];
  healthcheck?: { test: string[] };
  depends_on?: Record<string, { condition: string }>;
  deploy?: { resources: { reservations: { devices: { driver: string; capabilities: string[] }[] } } };
}

const COMPOSE_TEXT = read('docker-compose.yml');
const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = parse(COMPOSE_TEXT, { merge: true });
const services = Object.entries(compose.services);
const ours = services.filter(([, { build }]) => build !== undefined);
const PACKAGE = JSON.parse(read('package.json')) as { scripts: Record<string, string>; version: string };
const stages = parseDockerfile(read('deploy/Dockerfile'));

interface Stage {
  readonly from: string;
  readonly instructions: readonly { readonly name: string; readonly rest: string }[];
}

/** By name; comments and continued lines folded away. */
function parseDockerfile(text: string): Map<string, Stage> {
  const lines = text.replaceAll(/^#.*\n/gm, '').replaceAll(/\\\n/g, ' ').split('\n').filter((line) => line.trim() !== '');
  const found = new Map<string, { from: string; instructions: { name: string; rest: string }[] }>();
  let current: { name: string; rest: string }[] = [];
  for (const line of lines) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [, from = '', as = ''] = /^(\S+) AS (\S+)$/.exec(rest) ?? [];
      found.set(as, { from, instructions: (current = []) });
    } else current.push({ name, rest });
  }
  return found;
}

/** The instructions of a stage and of those it is built on, the base first. */
function wholeStage(name: string): Stage['instructions'] {
  const stage = stages.get(name);
  return stage === undefined ? [] : [...wholeStage(stage.from), ...stage.instructions];
}

const last = (stage: string, name: string) => wholeStage(stage).findLast((instruction) => instruction.name === name)?.rest;

/** What compose makes of `${NAME}`, `${NAME:-default}` and `${NAME:?message}`. */
function interpolate(value: string, given: Record<string, string>): string {
  return value.replaceAll(/\$\{(\w+)(?::([-?])([^}]*))?\}/g, (_, name: string, kind?: string, rest = '') => {
    if (given[name]) return given[name];
    if (kind === '-') return rest;
    throw new Error(`${name} is not set`);
  });
}

const EXAMPLE = Object.fromEntries(
  read('.env.example').split('\n').flatMap((line) => {
    const [, name, value] = /^(\w+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value ?? '']];
  }),
);
const isSecret = (name: string) => /PASSWORD|SECRET|KEY/.test(name) && name !== 'REQUESTS_PER_SECOND_PER_KEY';
/** Those that compose does not start without. */
const REQUIRED = new Set([...COMPOSE_TEXT.matchAll(/\$\{(\w+):\?/g)].map(([, name]) => name));
const FILLED_IN = Object.fromEntries(
  Object.entries(EXAMPLE).map(([name, value]) => [name, value || (REQUIRED.has(name) ? 'x7f3'.repeat(6) : '')]),
);

const environmentOf = ({ environment = {} }: Service, given = FILLED_IN) =>
  Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, interpolate(String(value), given)]));

describe('docker-compose.yml', () => {
  test('has the API, the workers and the three stores, the GPU worker on demand only', () => {
    expect(Object.keys(compose.services).toSorted()).toEqual(
      ['api', 'minio', 'postgres', 'redis', 'worker', 'worker-datasets', 'worker-gpu', 'worker-quantize', 'worker-sweeps'],
    );
    expect(services.filter(([, { profiles }]) => profiles).map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['worker-gpu', ['gpu']],
    ]);
    const [device] = compose.services['worker-gpu']?.deploy?.resources.reservations.devices ?? [];
    expect(device).toMatchObject({ driver: 'nvidia', capabilities: ['gpu'] });
  });

  test.each(ours)('%s is given only variables that config.ts knows, and a whole configuration of them', (_, service) => {
    const environment = environmentOf(service);
    expect(Object.keys(environmentSchema.shape)).toEqual(expect.arrayContaining(Object.keys(environment)));
    const config = readConfig(environment);
    expect(config.production).toBe(true);
    expect(config.dataDir).toBe('/data');
  });

  test('all processes of ours are given the same database, queue, store and bucket', () => {
    const shared = ['DATABASE_URL', 'REDIS_URL', 'S3_ENDPOINT', 'S3_ACCESS_KEY', 'S3_SECRET_KEY', 'S3_BUCKET'] as const;
    const given = ours.map(([, service]) => shared.map((name) => environmentOf(service)[name]).join('\n'));
    expect(new Set(given).size).toBe(1);
  });

  test('the servers are configured with the secrets that their clients are given', () => {
    const api = readConfig(environmentOf(compose.services['api'] as Service));
    const postgres = environmentOf(compose.services['postgres'] as Service);
    const database = new URL(api.database.url);
    expect([database.username, database.password, database.pathname.slice(1), database.hostname]).toEqual([
      postgres['POSTGRES_USER'], postgres['POSTGRES_PASSWORD'], postgres['POSTGRES_DB'], 'postgres',
    ]);
    const redis = new URL(api.redis.url);
    expect([redis.password, redis.hostname]).toEqual([
      environmentOf(compose.services['redis'] as Service)['REDISCLI_AUTH'], 'redis',
    ]);
    const minio = environmentOf(compose.services['minio'] as Service);
    expect([api.objects.accessKey, api.objects.secretKey, new URL(api.objects.endpoint).hostname]).toEqual([
      minio['MINIO_ROOT_USER'], minio['MINIO_ROOT_PASSWORD'], 'minio',
    ]);
  });

  test('holds no secret and no default for one: each must be set, and .env.example names it', () => {
    const references = [...COMPOSE_TEXT.matchAll(/\$\{(\w+)(:[-?])?/g)].map(([, name, kind]) => ({ name, kind }));
    expect(references.length).toBeGreaterThan(5);
    for (const { name, kind } of references) {
      expect(Object.keys(EXAMPLE)).toContain(name);
      if (isSecret(String(name))) expect({ name, kind }).toEqual({ name, kind: ':?' });
    }
    for (const [name, value] of Object.entries(EXAMPLE)) if (isSecret(name)) expect(value).toBe('');
    expect(() => interpolate('${POSTGRES_PASSWORD:?see .env.example}', EXAMPLE)).toThrow('POSTGRES_PASSWORD is not set');
  });

  test('each line of .env.example reaches a process of ours, a server of ours, or a port', () => {
    const used = new Set([...COMPOSE_TEXT.matchAll(/\$\{(\w+)/g)].map(([, name]) => name));
    expect(Object.keys(EXAMPLE).toSorted()).toEqual([...used].toSorted());
    const given = { ...FILLED_IN, MODEL_CACHE_BYTES: '4096', TRAINING_THREADS: '3', MAX_DATASET_BYTES: '8192' };
    const configOf = (name: string) => readConfig(environmentOf(compose.services[name] as Service, given));
    expect(configOf('api').serving.cacheBytes).toBe(4_096);
    expect([configOf('worker'), configOf('worker-quantize')].map(({ worker }) => worker.threads)).toEqual([3, 3]);
    expect(configOf('worker-datasets').datasets.maxBytes).toBe(8_192);
  });

  test.each(services)('%s has a pinned image and a health check, and its volumes are named', (_, service) => {
    expect(service.image).toMatch(/:(RELEASE\.)?\d+[\w.-]+$/);
    expect(service.healthcheck?.test[0]).toMatch(/^CMD/);
    for (const volume of service.volumes ?? []) expect(Object.keys(compose.volumes)).toContain(volume.split(':')[0]);
  });

  test('publishes nothing to the network that was not asked for', () => {
    for (const [, { ports = [] }] of services)
      for (const port of ports) expect(interpolate(port, {})).toMatch(/^127\.0\.0\.1:/);
  });

  test('starts each process after what it depends on is healthy', () => {
    for (const [name, { depends_on = {} }] of ours) {
      const needed = name === 'api' ? ['minio', 'postgres', 'redis'] : ['api', 'minio', 'postgres', 'redis'];
      expect(Object.keys(depends_on).toSorted()).toEqual(needed);
      expect(Object.values(depends_on).every(({ condition }) => condition === 'service_healthy')).toBe(true);
    }
  });

  test.each(ours)('%s is checked on the port that it listens on, and answers other containers there', (_, service) => {
    const { PORT, WORKER_HTTP_PORT, HOST } = environmentOf(service);
    expect(HOST).toBe('0.0.0.0');
    const checked = /http:\/\/127\.0\.0\.1:(\d+)\/(\w+)/.exec(service.healthcheck?.test.join(' ') ?? '');
    expect(checked?.slice(1)).toEqual(PORT ? [PORT, 'readyz'] : [WORKER_HTTP_PORT, 'healthz']);
  });

  test.each(ours)('%s is built from a stage there is and runs a program that the build makes', (_, service) => {
    const { dockerfile, target } = service.build as NonNullable<Service['build']>;
    expect(dockerfile).toBe('deploy/Dockerfile');
    expect(stages.has(target)).toBe(true);
    expect(service.image).toMatch(new RegExp(`:${PACKAGE.version}$`));
    const command = service.command ?? (JSON.parse(last(target, 'CMD') ?? '[]') as string[]);
    const program = command.at(-1) ?? '';
    expect(program).toMatch(/^dist\/.*\.js$/);
    expect(existsSync(path.join(ROOT, program.replace(/^dist\//, '').replace(/\.js$/, '.ts')))).toBe(true);
  });
});

describe('deploy/Dockerfile', () => {
  test('builds on pinned images or on its own stages', () => {
    for (const { from } of stages.values()) expect(stages.has(from) || /:\d+\.\d+[\w.-]*$/.test(from)).toBe(true);
    expect([...stages.keys()]).toEqual(expect.arrayContaining(['api', 'worker', 'worker-gpu']));
  });

  test('runs only scripts that package.json has', () => {
    const runs = [...stages.values()].flatMap(({ instructions }) => instructions.filter(({ name }) => name === 'RUN'));
    const scripts = runs.flatMap(({ rest }) => [...rest.matchAll(/npm run ([\w:]+)/g)].map(([, script]) => script));
    expect(scripts).toEqual(['generate', 'native', 'build', 'build']);
    for (const script of scripts) expect(Object.keys(PACKAGE.scripts)).toContain(script);
  });

  test('copies only what the repository has, and what a stage there is made', () => {
    for (const { instructions } of stages.values())
      for (const { name, rest } of instructions.filter((instruction) => instruction.name === 'COPY')) {
        const [, from] = /^--from=(\S+) /.exec(rest) ?? [];
        const sources = rest.replace(/^--from=\S+ /, '').split(/\s+/).slice(0, -1);
        if (from !== undefined) expect(stages.has(from), `${name} ${rest}`).toBe(true);
        else for (const source of sources) expect(existsSync(path.join(ROOT, source)), source).toBe(true);
      }
  });

  test.each(['api', 'worker', 'worker-gpu'])('%s runs as a user without privileges, with migrations beside it', (target) => {
    expect(last(target, 'USER')).toBe('node');
    const copied = wholeStage(target).filter(({ name }) => name === 'COPY').map(({ rest }) => rest);
    expect(copied).toEqual(expect.arrayContaining(['prisma prisma', '--from=build /app/dist dist']));
    expect(wholeStage(target).some(({ rest }) => /\bnpm ci --omit=dev\b/.test(rest)) || copied.some((rest) => /--from=modules/.test(rest))).toBe(true);
  });

  test('the CPU worker has the addon and oneDNN to load it with; the API has neither', () => {
    const text = (target: string) => wholeStage(target).map(({ rest }) => rest).join('\n');
    expect(text('worker')).toMatch(/residual\.node native\/build\/Release/);
    expect(text('worker')).toMatch(/libdnnl2/);
    expect(text('api')).not.toMatch(/native|dnnl/);
  });

  test('the API has the dashboard, which is built for it', () => {
    const text = (target: string) => wholeStage(target).map(({ rest }) => rest).join('\n');
    expect(text('build')).toMatch(/npm run build --workspace web/);
    expect(text('api')).toMatch(/\/app\/web\/dist web\/dist/);
  });
});

describe('docs/operations.md', () => {
  test('lists each variable of config.ts, and no other', () => {
    const rows = read('docs/operations.md').split('\n').filter((line) => /^\| `[A-Z]/.test(line));
    const names = rows.flatMap((row) => [...(row.split('|')[1] ?? '').matchAll(/`(\w+)`/g)].map(([, name]) => name));
    expect(names.toSorted()).toEqual(Object.keys(environmentSchema.shape).toSorted());
  });
});
