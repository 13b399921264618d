import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { initialTensors } from '../src/domain/network/initialise.js';
import { encodeOnnx } from '../src/formats/onnx.js';
import { connectDatabase } from '../src/infra/database.js';
import { migrateDatabase } from '../src/infra/migrate.js';
import { createObjectStore, type ObjectStore } from '../src/infra/objects.js';
import { startApi } from '../src/local/processes.js';
import type { ServerProcess } from '../src/local/server-process.js';
import { startStack } from '../src/local/stack.js';
import { defineModel } from '../src/models/define-model.js';
import { publishVersion } from '../src/registry/publish-version.js';
import type { Predictions } from './load.js';
import { benchModel } from './models.js';

/** The API, in processes as `npm start` starts them, on stores of its own. */
export interface Serving {
  /** Publishes the next version of one of the benches' models, with random weights. @returns `name:3` */
  publish(model: string): Promise<string>;
  /** One more process. @param environment more variables of src/config.ts */
  startApi(environment: Readonly<Record<string, string | number>>): Promise<ServerProcess & { readonly url: string }>;
  /** Predictions of `model` as requests: one for each list of images. */
  predictions(url: string, model: string, requests: readonly string[][]): Predictions;
  stop(): Promise<void>;
}

/** Class scores that each image is answered with. */
export const TOP_K = 5;
export const NORMALISATION = { mean: [0.49, 0.48, 0.45], std: [0.25, 0.24, 0.26] };
const BUCKET = { bucket: 'residual', region: 'us-east-1' };
const QUERY = `query ($input: PredictInput!) {
  predict(input: $input) { predictions { top { index probability } } }
}`;

export async function startServing(): Promise<Serving> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-bench-'));
  const stack = await startStack(dataDir);
  const { databaseUrl, redisUrl, objects: access } = stack;
  await migrateDatabase(databaseUrl);
  const database = connectDatabase(databaseUrl, { maxConnections: 2 });
  // One for each use: making a network's weights takes seconds in which no connection could be looked after.
  const objectStore = () => createObjectStore({ ...access, ...BUCKET, publicEndpoint: access.endpoint });
  await objectStore().ensureBucket();
  const key = randomBytes(24).toString('hex');
  const processes: ServerProcess[] = [];
  return {
    publish: (model) => publish({ database, objectStore }, model),
    startApi: async (more) => {
      const environment = environmentOf(dataDir, { databaseUrl, redisUrl, access, key }, more);
      const api = await startApi({ dataDir, environment }, `api-${processes.length}`);
      processes.push(api);
      return api;
    },
    predictions: (url, model, requests) => ({
      url,
      headers: { authorization: `Bearer ${key}` },
      bodies: requests.map((images) =>
        JSON.stringify({ query: QUERY, variables: { input: { model, images, topK: TOP_K } } }),
      ),
      probabilities: TOP_K * requests[0]!.length,
    }),
    stop: async () => {
      await Promise.all(processes.map((each) => each.stop()));
      await database.$disconnect();
      await stack.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

function environmentOf(
  dataDir: string,
  { databaseUrl, redisUrl, access, key }: {
    databaseUrl: string;
    redisUrl: string;
    access: { endpoint: string; accessKey: string; secretKey: string };
    key: string;
  },
  more: Readonly<Record<string, string | number>>,
): NodeJS.ProcessEnv {
  return {
    ...process.env,
    NODE_ENV: 'production',
    PORT: '0',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    S3_ENDPOINT: access.endpoint,
    S3_ACCESS_KEY: access.accessKey,
    S3_SECRET_KEY: access.secretKey,
    S3_BUCKET: BUCKET.bucket,
    RESIDUAL_DATA_DIR: dataDir,
    RESIDUAL_ADMIN_KEY: key,
    ...Object.fromEntries(Object.entries(more).map(([name, value]) => [name, String(value)])),
  };
}

type Stores = Parameters<typeof defineModel>[0] & { readonly objectStore: () => ObjectStore };

async function publish({ database, objectStore }: Stores, name: string): Promise<string> {
  const { input, definition, graph } = benchModel(name);
  const { numClasses, ...network } = input;
  const classNames = Array.from({ length: numClasses }, (_, label) => `class ${label}`);
  const model =
    (await database.model.findUnique({ where: { name } })) ??
    (await defineModel({ database }, { name, ...network, classNames }));
  const versions = await database.modelVersion.count({ where: { modelId: model.id } });
  const tensors = initialTensors(graph, definition, versions);
  const object = await objectStore().putBytes(encodeOnnx(graph, tensors, { classNames, ...NORMALISATION }));
  const { version } = await publishVersion(database, {
    runId: null,
    modelId: model.id,
    definition,
    classNames,
    ...NORMALISATION,
    evaluation: null,
    artifacts: [{ kind: 'ONNX', ...object }],
  });
  return `${name}:${version}`;
}
