import { availableParallelism, homedir, hostname } from 'node:os';
import path from 'node:path';
import { z } from 'zod';

/** The only reader of `process.env`. Everything else is handed the part of `Config` that it needs. */

const port = z.coerce.number().int().min(0).max(65_535);
const positive = z.coerce.number().int().positive();
const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' });

const passwordOf = (url: string) => decodeURIComponent(new URL(url).password);
/** Its password is percent-encoded, if it has one. */
const serverUrl = (name: string, scheme: RegExp) =>
  z.string().refine((text) => scheme.test(text) && holds(() => passwordOf(text)), `must be a ${name}:// URL`);

/** Each variable with its meaning; `docs/operations.md` and the compose file are held against this list by tests. */
export const environmentSchema = z.object({
  NODE_ENV: z.enum(['development', 'production', 'test']).default('development'),
  /** Port of the API; 0 takes a free one. */
  PORT: port.default(4000),
  /** Address that is listened on. */
  HOST: z.string().default('127.0.0.1'),
  DATABASE_URL: serverUrl('postgresql', /^postgres(ql)?:\/\//),
  REDIS_URL: serverUrl('redis', /^rediss?:\/\//),
  /** Put before every Redis key and channel, so that several installations share one server. */
  REDIS_PREFIX: z.string().regex(/^[\w-]+$/).default('residual'),
  S3_ENDPOINT: httpUrl,
  /** The endpoint as clients reach it, for presigned URLs; `S3_ENDPOINT` if unset. */
  S3_PUBLIC_ENDPOINT: httpUrl.optional(),
  S3_ACCESS_KEY: z.string().min(1),
  S3_SECRET_KEY: z.string().min(1),
  S3_BUCKET: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be a bucket name').default('residual'),
  S3_REGION: z.string().default('us-east-1'),
  /** Decoded data sets and the embedded servers' files. */
  RESIDUAL_DATA_DIR: z.string().default('.residual'),
  /** The secret of an ADMIN key that exists from the start. */
  RESIDUAL_ADMIN_KEY: z.string().min(16, 'must have at least 16 characters').optional(),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).default('info'),
  /** Bytes of memory that served models may take. */
  MODEL_CACHE_BYTES: positive.default(1024 ** 3),
  /** Bytes of one HTTP request's body. */
  MAX_BODY_BYTES: positive.default(32 * 1024 ** 2),
  /** Requests a second that one API key may send to this process; twice as many in a burst. */
  REQUESTS_PER_SECOND_PER_KEY: positive.default(10_000),
  /** Width times height of one image that is decoded. */
  MAX_IMAGE_PIXELS: positive.default(50_000_000),
  /** Bytes that one uploaded data set may unpack to. */
  MAX_DATASET_BYTES: positive.default(64 * 1024 ** 3),
  /** Threads that one prediction batch computes with. */
  SERVING_THREADS: positive.default(availableParallelism()),
  /** Processes that train on this machine: `npm start` starts so many, and they share its cores. */
  TRAINING_WORKERS: positive.max(64).default(1),
  /** Threads that one training step computes with; unset: an equal share of the cores for each of TRAINING_WORKERS. */
  TRAINING_THREADS: positive.optional(),
  /** Port on which a worker answers /healthz and /metrics, on HOST; unset: none. */
  WORKER_HTTP_PORT: port.optional(),
});

export interface Config {
  readonly production: boolean;
  readonly logLevel: string;
  readonly http: {
    readonly host: string;
    readonly port: number;
    readonly maxBodyBytes: number;
    readonly requestsPerSecondPerKey: number;
  };
  readonly database: { readonly url: string };
  readonly redis: { readonly url: string; readonly prefix: string };
  readonly objects: ObjectsConfig;
  readonly dataDir: string;
  readonly adminKey: string | undefined;
  readonly datasets: { readonly maxBytes: number };
  readonly images: { readonly maxPixels: number };
  readonly serving: { readonly cacheBytes: number; readonly threads: number };
  readonly worker: {
    /** The machine's name. */
    readonly host: string;
    readonly threads: number;
    /** Where it answers /healthz and /metrics, if it does. */
    readonly http: { readonly host: string; readonly port: number } | undefined;
  };
}

export interface ObjectsConfig {
  readonly endpoint: string;
  readonly publicEndpoint: string;
  readonly accessKey: string;
  readonly secretKey: string;
  readonly bucket: string;
  readonly region: string;
}

const KNOWN_SECRETS = ['minioadmin', 'postgres', 'password', 'residual', 'changeme', 'secret'];

/**
 * Parses the environment; all faults are listed at once.
 * @throws ConfigError
 */
export function readConfig(environment: NodeJS.ProcessEnv = process.env): Config {
  const env = parse(environmentSchema, environment);
  if (env.NODE_ENV === 'production') refuseKnownSecrets(env);
  return deepFreeze({
    production: env.NODE_ENV === 'production',
    logLevel: env.LOG_LEVEL,
    http: {
      host: env.HOST,
      port: env.PORT,
      maxBodyBytes: env.MAX_BODY_BYTES,
      requestsPerSecondPerKey: env.REQUESTS_PER_SECOND_PER_KEY,
    },
    database: { url: env.DATABASE_URL },
    redis: { url: env.REDIS_URL, prefix: env.REDIS_PREFIX },
    objects: {
      endpoint: env.S3_ENDPOINT,
      publicEndpoint: env.S3_PUBLIC_ENDPOINT ?? env.S3_ENDPOINT,
      accessKey: env.S3_ACCESS_KEY,
      secretKey: env.S3_SECRET_KEY,
      bucket: env.S3_BUCKET,
      region: env.S3_REGION,
    },
    dataDir: path.resolve(env.RESIDUAL_DATA_DIR),
    adminKey: env.RESIDUAL_ADMIN_KEY,
    datasets: { maxBytes: env.MAX_DATASET_BYTES },
    images: { maxPixels: env.MAX_IMAGE_PIXELS },
    serving: { cacheBytes: env.MODEL_CACHE_BYTES, threads: env.SERVING_THREADS },
    worker: {
      host: hostname(),
      threads: env.TRAINING_THREADS ?? Math.max(1, Math.floor(availableParallelism() / env.TRAINING_WORKERS)),
      http: env.WORKER_HTTP_PORT === undefined ? undefined : { host: env.HOST, port: env.WORKER_HTTP_PORT },
    },
  });
}

/** What `npm start` needs: each of the servers may be given, and is embedded if it is not. */
export interface StartConfig {
  readonly http: { readonly host: string; readonly port: number };
  readonly dataDir: string;
  readonly adminKey: string | undefined;
  readonly databaseUrl: string | undefined;
  readonly redisUrl: string | undefined;
  readonly objects: Pick<ObjectsConfig, 'endpoint' | 'accessKey' | 'secretKey'> | undefined;
  /** How many processes train. */
  readonly trainingWorkers: number;
  /** As given, for the processes that are started. */
  readonly environment: NodeJS.ProcessEnv;
}

const startSchema = environmentSchema.partial({
  DATABASE_URL: true,
  REDIS_URL: true,
  S3_ENDPOINT: true,
  S3_ACCESS_KEY: true,
  S3_SECRET_KEY: true,
});

/**
 * Parses the environment of `npm start`.
 * @throws ConfigError
 */
export function readStartConfig(environment: NodeJS.ProcessEnv = process.env): StartConfig {
  const env = parse(startSchema, environment);
  return {
    http: { host: env.HOST, port: env.PORT },
    dataDir: path.resolve(env.RESIDUAL_DATA_DIR),
    adminKey: env.RESIDUAL_ADMIN_KEY,
    databaseUrl: env.DATABASE_URL,
    redisUrl: env.REDIS_URL,
    objects: givenObjects(env),
    trainingWorkers: env.TRAINING_WORKERS,
    environment,
  };
}

function givenObjects(env: z.infer<typeof startSchema>): StartConfig['objects'] {
  const { S3_ENDPOINT: endpoint, S3_ACCESS_KEY: accessKey, S3_SECRET_KEY: secretKey } = env;
  if (endpoint === undefined) return undefined;
  if (accessKey === undefined || secretKey === undefined)
    throw new ConfigError(['S3_ENDPOINT needs S3_ACCESS_KEY and S3_SECRET_KEY beside it']);
  return { endpoint, accessKey, secretKey };
}

/** Variables of the command `residual`; `docs/command-line.md` is held against this list by a test. */
export const clientSchema = z.object({
  /** The GraphQL endpoint that the command asks. */
  RESIDUAL_URL: httpUrl.optional(),
  /** The key that it sends. */
  RESIDUAL_KEY: z.string().min(1).optional(),
  /** Where programs keep what a user told them (XDG Base Directory Specification). */
  XDG_CONFIG_HOME: z.string().optional(),
});

/** What the command `residual` is told by its environment. */
export interface ClientConfig {
  readonly url: string | undefined;
  readonly key: string | undefined;
  /** The user's own. */
  readonly configFolder: string;
}

/**
 * Parses the environment of the command `residual`.
 * @throws ConfigError
 */
export function readClientConfig(environment: NodeJS.ProcessEnv = process.env): ClientConfig {
  const env = parse(clientSchema, environment);
  // The specification has a relative one ignored.
  const given = env.XDG_CONFIG_HOME !== undefined && path.isAbsolute(env.XDG_CONFIG_HOME) && env.XDG_CONFIG_HOME;
  const configFolder = path.join(given || path.join(homedir(), '.config'), 'residual');
  return { url: env.RESIDUAL_URL, key: env.RESIDUAL_KEY, configFolder };
}

/** A variable set to nothing counts as not set, as in a compose file. */
function parse<T extends z.ZodType>(schema: T, environment: NodeJS.ProcessEnv): z.infer<T> {
  const given = Object.fromEntries(Object.entries(environment).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new ConfigError(
    parsed.error.issues.map(({ path: [name], message }) =>
      given[String(name)] === undefined ? `${String(name)} is not set` : `${String(name)} ${message}`,
    ),
  );
}

/** The environment does not make a configuration; `faults` lists everything that is wrong with it. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  constructor(readonly faults: readonly string[]) {
    super(`configuration: ${faults.join('; ')}`);
  }
}

function refuseKnownSecrets(env: z.infer<typeof environmentSchema>): void {
  // RESIDUAL_ADMIN_KEY is longer than any of them.
  const secrets = {
    DATABASE_URL: passwordOf(env.DATABASE_URL),
    REDIS_URL: passwordOf(env.REDIS_URL),
    S3_SECRET_KEY: env.S3_SECRET_KEY,
  };
  const faults = Object.entries(secrets)
    .filter(([, secret]) => KNOWN_SECRETS.includes(secret))
    .map(([name]) => `${name} holds a well-known default secret, which production refuses`);
  if (faults.length > 0) throw new ConfigError(faults);
}

function holds(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}

function deepFreeze<T extends object>(value: T): T {
  for (const inner of Object.values(value)) if (typeof inner === 'object' && inner !== null) deepFreeze(inner);
  return Object.freeze(value);
}
