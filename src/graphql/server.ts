// Before the first decorator.
import 'reflect-metadata';
import type { IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { finished } from 'node:stream/promises';
import { ApolloServer } from '@apollo/server';
import { ApolloServerPluginLandingPageLocalDefault } from '@apollo/server/plugin/landingPage/default';
import { fastifyApolloHandler, type ApolloFastifyContextFunction } from '@as-integrations/fastify';
import websocket from '@fastify/websocket';
import Fastify, { type FastifyError, type FastifyInstance } from 'fastify';
import type { GraphQLFormattedError } from 'graphql';
import type { Config } from '../config.js';
import { badInput, tooLarge } from '../errors.js';
import { registerOpenInference } from '../open-inference/routes.js';
import { createContext, type Context, type Services } from './context.js';
import { registerDashboard } from './dashboard.js';
import { firstDocument } from './first-document.js';
import { MAX_TOKENS, limitOperations } from './limits.js';
import { createErrorMask } from './mask-error.js';
import { observeHttp, type Observers } from './observe.js';
import { isReady, registerOperations } from './operations.js';
import { createSchema } from './schema.js';
import { createSubscriptionHandler } from './subscriptions.js';

export interface ServerOptions extends Observers {
  readonly services: Services;
  readonly http: Config['http'];
  /** Its address for browsers. */
  readonly objectStore: string;
}

export interface ApiServer {
  /** Resolves with the address of the GraphQL endpoint. */
  listen(): Promise<string>;
  /** Takes no further request, closes the subscriptions, waits up to ten seconds for the requests under way. */
  close(): Promise<void>;
}

const PATH = '/graphql';
const DRAIN_MS = 10_000;

export async function createServer(options: ServerOptions): Promise<ApiServer> {
  const { http, logger, services, metrics } = options;
  const formatError = createErrorMask(logger);
  const schema = createSchema();
  const apollo = createApollo(schema, options, formatError);
  await apollo.start();

  const app = Fastify({ bodyLimit: http.maxBodyBytes, requestTimeout: 120_000 });
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    if (error.code === BODY_TOO_LARGE) await drain(request.raw);
    return reply.code(error.statusCode ?? 500).send({ errors: [formatError(transportFault(error, http))] });
  });
  await app.register(websocket, { options: { maxPayload: http.maxBodyBytes } });
  await app.register(async (routes) => {
    const handler = fastifyApolloHandler(apollo, { context: contextOf(services) });
    const wsHandler = createSubscriptionHandler({ schema, services, formatError, logger, metrics });
    routes.route({ method: 'GET', url: PATH, handler, wsHandler });
    routes.route({ method: 'POST', url: PATH, handler });
  });
  let closing = false;
  app.addHook('onSend', async (_request, reply) => {
    // Or a connection that is kept alive would keep the process.
    if (closing) reply.header('connection', 'close');
  });
  await registerDashboard(app, options);
  registerOperations(app, options);
  await registerOpenInference(app, { services, http, isReady: () => isReady(services), maskError: formatError, drain });

  return {
    listen: async () => {
      await app.listen({ port: http.port, host: http.host });
      return endpoint(app, http.host);
    },
    close: async () => {
      closing = true;
      const late = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
      await app.close().finally(() => clearTimeout(late));
      await apollo.stop();
    },
  };
}

function createApollo(
  schema: ReturnType<typeof createSchema>,
  observers: Observers,
  formatError: (error: unknown) => GraphQLFormattedError,
): ApolloServer<Context> {
  return new ApolloServer<Context>({
    schema,
    introspection: true,
    allowBatchedHttpRequests: false,
    csrfPrevention: true,
    includeStacktraceInErrorResponses: false,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    parseOptions: { maxTokens: MAX_TOKENS },
    logger: observers.logger,
    formatError: (_formatted, error) => formatError(error),
    plugins: [
      observeHttp(observers),
      limitOperations(),
      landingPage(),
    ],
  });
}

/** Apollo Sandbox, for this server, with the header to write a key into. */
function landingPage() {
  return ApolloServerPluginLandingPageLocalDefault({
    embed: { endpointIsEditable: false, runTelemetry: false, initialState: { pollForSchemaUpdates: false } },
    includeCookies: false,
    headers: { authorization: '' },
    document: firstDocument(),
  });
}

function contextOf(services: Services): ApolloFastifyContextFunction<Context> {
  return async (request, reply) => {
    const gone = new AbortController();
    reply.raw.on('close', () => {
      if (!reply.raw.writableFinished) gone.abort();
    });
    return createContext(services, request.headers.authorization, gone.signal);
  };
}

const BODY_TOO_LARGE = 'FST_ERR_CTP_BODY_TOO_LARGE';
const DRAIN_BODY_MS = 5_000;

/** Reads on past a refused body: most clients look for an answer only once they have sent all of it. */
async function drain(body: IncomingMessage): Promise<void> {
  const late = AbortSignal.timeout(DRAIN_BODY_MS);
  await finished(body.resume(), { signal: late, cleanup: true }).catch(() => undefined);
}

/** Faults that Fastify finds before there is a GraphQL request. */
function transportFault(error: FastifyError, { maxBodyBytes }: Config['http']): unknown {
  if (error.code === BODY_TOO_LARGE) return tooLarge(`a request has at most ${maxBodyBytes} bytes`);
  const status = error.statusCode ?? 500;
  return status < 500 ? badInput('query', `not a GraphQL request: ${error.message}`) : error;
}

function endpoint(app: FastifyInstance, host: string): string {
  const { port } = app.server.address() as AddressInfo;
  const name = ['0.0.0.0', '::', ''].includes(host) ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}${PATH}`;
}
