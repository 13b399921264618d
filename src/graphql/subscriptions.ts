import {
  GraphQLError,
  getOperationAST,
  parse,
  validate,
  type ExecutionArgs,
  type GraphQLFormattedError,
  type GraphQLSchema,
  type OperationDefinitionNode,
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

/** A connection: what tells its operations that it is closed, and those under way by the client's id. */
type Connection = { closed?: AbortController; operations?: Map<string, Operation> };

interface Operation {
  readonly context: Context;
  definition?: OperationDefinitionNode;
  /** Of its newest result. */
  errors: readonly GraphQLFormattedError[];
}

/** graphql-transport-ws on the path of HTTP; the key comes in the connection parameters, as `authorization`. */
export function createSubscriptionHandler(options: SubscriptionOptions): ReturnType<typeof makeHandler> {
  const { formatError, metrics, services } = options;
  const finish = ({ operations }: Connection, id: string, errors?: readonly GraphQLFormattedError[]) => {
    const operation = operations?.get(id);
    if (!operation) return;
    operations?.delete(id);
    observe(options, { ...operation, errors: errors ?? operation.errors });
    if (operation.definition?.operation === 'subscription') metrics.subscriptions.dec();
  };

  return makeHandler<Record<string, unknown>, Connection>({
    isProd: true,
    onConnect: ({ extra }) => {
      extra.closed = new AbortController();
      extra.operations = new Map();
    },
    onClose: ({ extra }) => extra.closed?.abort(),
    onSubscribe: ({ connectionParams, extra }, id, payload) => {
      const signal = extra.closed?.signal ?? AbortSignal.abort();
      const context = createContext(services, authorizationOf(connectionParams), signal);
      const operation: Operation = { context, errors: [] };
      extra.operations?.set(id, operation);
      const prepared = prepare(options, payload, operation);
      if (operation.definition?.operation === 'subscription') metrics.subscriptions.inc();
      return prepared;
    },
    onNext: ({ extra }, id, _payload, _args, { data = null, errors = [] }) => {
      const formatted = errors.map(formatError);
      const operation = extra.operations?.get(id);
      if (operation) operation.errors = formatted;
      return formatted.length > 0 ? { data, errors: formatted } : undefined;
    },
    onError: ({ extra }, id, _payload, errors) => {
      const formatted = errors.map(formatError);
      finish(extra, id, formatted);
      return formatted;
    },
    onComplete: ({ extra }, id) => finish(extra, id),
  });
}

function authorizationOf(parameters: Record<string, unknown> | undefined): unknown {
  return parameters?.['authorization'] ?? parameters?.['Authorization'];
}

/** Does for a message what Apollo does for a request: parse, validate, hold to the limits. */
function prepare(
  { schema }: SubscriptionOptions,
  { query, operationName, variables }: SubscribePayload,
  operation: Operation,
): ExecutionArgs | readonly GraphQLError[] {
  try {
    const document = parse(query, { maxTokens: MAX_TOKENS });
    const faults = validate(schema, document);
    if (faults.length > 0) return faults;
    const definition = getOperationAST(document, operationName);
    if (!definition) return [new GraphQLError('the document has no such operation')];
    operation.definition = definition;
    checkLimits({ schema, document, definition, variables: variables ?? {} });
    const names = { operationName: operationName ?? null, variableValues: variables ?? null };
    return { schema, document, ...names, contextValue: operation.context };
  } catch (error) {
    return [error instanceof GraphQLError ? error : new GraphQLError(String(error), { originalError: error as Error })];
  }
}
