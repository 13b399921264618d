import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { ERROR_CODES, ResidualError, badInput, isOutage, unavailable } from '../errors.js';
import type { Logger } from '../infra/log.js';
import { faultyField } from './field-path.js';

/**
 * Makes what a caller is told of a failure. Known errors pass as they stand; of anything else the caller learns an id,
 * and the log has the original under it.
 */
export function createErrorMask(logger: Pick<Logger, 'error'>): (error: unknown) => GraphQLFormattedError {
  return (error) => {
    const root = rootOf(error);
    const known = knownError(error, root);
    if (known instanceof ResidualError) return formatted(error, known);
    const correlationId = crypto.randomUUID();
    logger.error({ correlationId, err: root }, 'a request failed unexpectedly');
    return formatted(error, known ?? INTERNAL, correlationId);
  };
}

/** The part of an error that is told. */
type Told = Pick<ResidualError, 'code' | 'message' | 'field'> & {
  readonly retryAfterMs?: number | undefined;
};

const INTERNAL: Told = {
  code: 'INTERNAL_SERVER_ERROR',
  message: 'internal error; the server has logged it under the correlationId',
  field: undefined,
};
/** A store's own words stay in the log: they may name hosts. */
const UNREACHABLE: Told = {
  code: 'SERVICE_UNAVAILABLE',
  message: 'a store that this needs does not answer; try again later',
  field: undefined,
};

function formatted(
  error: unknown,
  { code, message, field, retryAfterMs }: Told,
  correlationId?: string,
): GraphQLFormattedError {
  const extensions = {
    code,
    ...(field !== undefined && { field }),
    ...(ERROR_CODES[code].retryable && { retryable: true }),
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(correlationId !== undefined && { correlationId }),
  };
  return { message: shorten(message), ...placeOf(error), extensions };
}

function knownError(error: unknown, root: Error): ResidualError | Told | undefined {
  if (root instanceof ResidualError) return root;
  if (root.name === 'AbortError') return unavailable('the request was given up');
  if (isOutage(root)) return UNREACHABLE;
  if (error instanceof GraphQLError && isCallersFault(error, root)) return badInput(faultyField(error), error.message);
  return undefined;
}

/** Codes of graphql-js's and Apollo's own that blame the request. */
const REQUEST_FAULTS = new Set([
  'GRAPHQL_PARSE_FAILED',
  'GRAPHQL_VALIDATION_FAILED',
  'BAD_USER_INPUT',
  'BAD_REQUEST',
  'OPERATION_RESOLUTION_FAILURE',
  'INTROSPECTION_DISABLED',
  'PERSISTED_QUERY_NOT_FOUND',
  'PERSISTED_QUERY_NOT_SUPPORTED',
]);

/** Errors without a path come from before the resolvers ran: from the document, its variables or the request. */
function isCallersFault(error: GraphQLError, root: Error): boolean {
  const beforeResolvers = error.path === undefined && root instanceof GraphQLError;
  return beforeResolvers || REQUEST_FAULTS.has(String(error.extensions['code']));
}

/** What was thrown, beneath the wrappers that GraphQL puts around it. */
function rootOf(error: unknown): Error {
  let root = error;
  while (root instanceof GraphQLError && root.originalError) root = root.originalError;
  return root instanceof Error ? root : new Error(`thrown: ${String(root)}`);
}

function placeOf(error: unknown): Pick<GraphQLFormattedError, 'path' | 'locations'> {
  if (!(error instanceof GraphQLError)) return {};
  return { ...(error.locations && { locations: error.locations }), ...(error.path && { path: error.path }) };
}

const MAX_MESSAGE_LENGTH = 600;

/** graphql-js prints the whole value that it refuses, which may be an image. */
function shorten(message: string): string {
  if (message.length <= MAX_MESSAGE_LENGTH) return message;
  return `${message.slice(0, MAX_MESSAGE_LENGTH / 2)} … ${message.slice(-MAX_MESSAGE_LENGTH / 2)}`;
}
