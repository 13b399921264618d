import type { IncomingMessage } from 'node:http';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { admitRequest } from '../access/admit-request.js';
import type { ApiKeyVerifier } from '../access/api-keys.js';
import { bearerToken } from '../access/bearer-token.js';
import type { RequestRates } from '../access/request-rates.js';
import { requireRole, type Role } from '../access/roles.js';
import type { Config } from '../config.js';
import type { Database } from '../infra/database.js';
import { resolveVersion } from '../registry/resolve.js';
import { servedKey } from '../serving/load-model.js';
import type { Predictor } from '../serving/predict.js';
import { withinDeadline } from './deadline.js';
import { decompress } from './decompress.js';
import { failureOf, type MaskedError } from './errors.js';
import { readInputs } from './inputs.js';
import { describeModel, SERVER } from './metadata.js';
import { parseInferRequest } from './request.js';
import { checkOutputs, writeInferResponse } from './response.js';

/**
 * The Open Inference Protocol v2 over HTTP, as KServe and Triton speak it (docs/open-inference.md): the same keys,
 * models in memory and batches as GraphQL's.
 */
export interface OpenInferenceOptions {
  readonly services: {
    readonly database: Database;
    readonly predictor: Predictor;
    readonly keys: ApiKeyVerifier;
    readonly rates: RequestRates;
  };
  readonly http: Pick<Config['http'], 'maxBodyBytes'>;
  readonly isReady: () => Promise<boolean>;
  readonly maskError: (error: unknown) => MaskedError;
  /** Reads on past a refused body. */
  readonly drain: (body: IncomingMessage) => Promise<void>;
}

/** A request that asks for less gets less. */
const DEADLINE_MS = 60_000;

export async function registerOpenInference(app: FastifyInstance, options: OpenInferenceOptions): Promise<void> {
  await app.register(
    async (routes) => {
      answerFailures(routes, options);
      // Clients send JSON and bytes under any content type, or none.
      routes.removeAllContentTypeParsers();
      routes.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
      registerServer(routes, options);
      registerModel(routes, options, '/models/:name');
      registerModel(routes, options, '/models/:name/versions/:version');
    },
    { prefix: '/v2' },
  );
}

function answerFailures(routes: FastifyInstance, { maskError, drain }: OpenInferenceOptions): void {
  routes.setErrorHandler(async (error: FastifyError, request, reply) => {
    // Faults of HTTP itself, which Fastify finds.
    if (error.statusCode !== undefined && error.statusCode < 500) {
      if (error.statusCode === 413) await drain(request.raw);
      return reply.code(error.statusCode).send({ error: error.message });
    }
    const { status, headers, body } = failureOf(maskError(error));
    return reply.code(status).headers(headers).send(body);
  });
  routes.setNotFoundHandler(({ method, url }, reply) => reply.code(404).send({ error: `there is no ${method} ${url}` }));
}

function registerServer(routes: FastifyInstance, { isReady }: OpenInferenceOptions): void {
  routes.get('/', async () => SERVER);
  routes.get('/health/live', async () => ({ live: true }));
  routes.get('/health/ready', async (_request, reply) => {
    const ready = await isReady();
    return reply.code(ready ? 200 : 503).send({ ready });
  });
}

interface ModelRoute {
  readonly Params: { readonly name: string; readonly version?: string };
}

/** A name may be any reference to a model, `cats@candidate` for one; a version is a number of it. */
const referenceOf = ({ params: { name, version } }: FastifyRequest<ModelRoute>) =>
  version === undefined ? name : `${name}:${version}`;

function registerModel(routes: FastifyInstance, options: OpenInferenceOptions, path: string): void {
  const { services, http } = options;
  const requires = (role: Role) => async ({ headers }: FastifyRequest<ModelRoute>) => {
    const caller = await admitRequest(services, bearerToken(headers.authorization));
    requireRole(caller.role, role);
  };

  routes.get<ModelRoute>(path, { onRequest: requires('VIEWER') }, async (request) =>
    describeModel(services, referenceOf(request)),
  );

  routes.get<ModelRoute>(`${path}/ready`, { onRequest: requires('VIEWER') }, async (request, reply) => {
    const version = await resolveVersion(services, referenceOf(request));
    const own = servedKey(version);
    // What is not in memory is loaded for the first who asks; what failed to load is not ready.
    const ready = !services.predictor.states().some(({ key, state }) => key === own && state === 'FAILED');
    return reply.code(ready ? 200 : 503).send({ name: version.model.name, ready });
  });

  routes.post<ModelRoute>(`${path}/infer`, { onRequest: requires('PREDICTOR') }, async (request, reply) => {
    const { headers } = request;
    const body = await decompress(bodyOf(request), headers['content-encoding'], http.maxBodyBytes);
    const call = parseInferRequest(body, headers['inference-header-content-length'] as string | undefined);
    checkOutputs(call);
    const inputs = readInputs(call.inputs);
    const deadlineMs = Math.min(call.timeoutMs ?? DEADLINE_MS, DEADLINE_MS);
    const inference = await withinDeadline(deadlineMs, leaving(reply), (signal) =>
      services.predictor.infer({ model: referenceOf(request), inputs }, signal),
    );
    const { body: answer, headerLength } = writeInferResponse(call, inference);
    if (headerLength === undefined) return reply.type('application/json').send(answer);
    reply.header('Inference-Header-Content-Length', String(headerLength));
    return reply.type('application/octet-stream').send(answer);
  });
}

const bodyOf = ({ body }: FastifyRequest<ModelRoute>) => (Buffer.isBuffer(body) ? body : Buffer.alloc(0));

/** Aborted when the client is gone before its answer. */
function leaving({ raw }: FastifyReply): AbortSignal {
  const gone = new AbortController();
  raw.on('close', () => {
    if (!raw.writableFinished) gone.abort();
  });
  return gone.signal;
}
