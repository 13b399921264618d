import {
  GraphQLError,
  getOperationAST,
  parse,
  validate,
  type ExecutionArgs,
  type GraphQLFormattedError,
  type GraphQLSchema,
} from 'graphql';
import type { SubscribePayload } from 'graphql-ws';
import { makeHandler } from 'graphql-ws/use/@fastify/websocket';
import { createContext, type Context, type Services } from './context.js';
import { MAX_TOKENS, checkLimits } from './limits.js';
import { observe, type Observers } from './observe.js';

export interface SubscriptionOptions extends Observers {
  readonly schema: GraphQLSchema;
  readonly services: Services;
  readonly formatError: (error: unknown) => GraphQLFormattedError;
}

/** A connection, with what tells its operations that it is closed. */
type Connection = { closed?: AbortController };

/** graphql-transport-ws on the path of HTTP; the key comes in the connection parameters, as `authorization`. */
export function createSubscriptionHandler(options: SubscriptionOptions): ReturnType<typeof makeHandler> {
  const { formatError, metrics, services } = options;
  return makeHandler<Record<string, unknown>, Connection>({
    isProd: true,
    onConnect: ({ extra }) => {
      extra.closed = new AbortController();
    },
    onClose: ({ extra }) => extra.closed?.abort(),
    onSubscribe: ({ connectionParams, extra }, _id, payload) => {
      const signal = extra.closed?.signal ?? AbortSignal.abort();
      return prepare(options, payload, createContext(services, authorizationOf(connectionParams), signal));
    },
    onOperation: (_connection, _id, _payload, { document, operationName, contextValue }, result) => {
      const errors = 'errors' in result ? (result.errors ?? []).map(formatError) : [];
      const definition = getOperationAST(document, operationName);
      observe(options, { context: contextValue as Context, definition, errors });
      if (definition?.operation === 'subscription') metrics.subscriptions.inc();
    },
    onComplete: (_connection, _id, { query, operationName }) => {
      if (getOperationAST(parse(query), operationName)?.operation === 'subscription') metrics.subscriptions.dec();
    },
    onNext: (_connection, _id, _payload, _args, { data = null, errors }) =>
      errors ? { data, errors: errors.map(formatError) } : undefined,
    onError: (_connection, _id, _payload, errors) => errors.map(formatError),
  });
}

function authorizationOf(parameters: Record<string, unknown> | undefined): unknown {
  return parameters?.['authorization'] ?? parameters?.['Authorization'];
}

/** Does for a message what Apollo does for a request: parse, validate, hold to the limits. */
function prepare(
  { schema }: SubscriptionOptions,
  { query, operationName, variables }: SubscribePayload,
  contextValue: Context,
): ExecutionArgs | readonly GraphQLError[] {
  try {
    const document = parse(query, { maxTokens: MAX_TOKENS });
    const faults = validate(schema, document);
    if (faults.length > 0) return faults;
    const definition = getOperationAST(document, operationName);
    if (!definition) return [new GraphQLError('the document has no such operation')];
    checkLimits({ schema, document, definition, variables: variables ?? {} });
    return { schema, document, operationName: operationName ?? null, variableValues: variables ?? null, contextValue };
  } catch (error) {
    if (error instanceof GraphQLError) return [error];
    return [new GraphQLError(String(error), { originalError: error as Error })];
  }
}
