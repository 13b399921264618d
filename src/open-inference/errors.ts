import { retryAfterSeconds, type ErrorCode } from '../errors.js';

/** What a caller is told of a failure: `{"error": "…"}` under a status of HTTP, as the protocol has it. */

export const STATUS_OF: Record<ErrorCode, number> = {
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  BAD_USER_INPUT: 400,
  NOT_FOUND: 404,
  CONFLICT: 409,
  PAYLOAD_TOO_LARGE: 413,
  RATE_LIMITED: 429,
  QUERY_TOO_COMPLEX: 400,
  SERVICE_UNAVAILABLE: 503,
  INTERNAL_SERVER_ERROR: 500,
};

/** An error as the rest of the API masks it. */
export interface MaskedError {
  readonly message: string;
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface Failure {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: { readonly error: string };
}

/** The names of arguments are GraphQL's, of tensors the request's own: these alone are told. */
export function failureOf({ message, extensions = {} }: MaskedError): Failure {
  const { code, field, correlationId, retryAfterMs } = extensions;
  const tensor = typeof field === 'string' && /^(input|image)(\.\d+)?$/.test(field) ? `${field}: ` : '';
  const trace = correlationId === undefined ? '' : ` (correlationId ${String(correlationId)})`;
  const headers = retryAfterMs === undefined ? {} : { 'retry-after': retryAfterSeconds(retryAfterMs) };
  return { status: STATUS_OF[code as ErrorCode], headers, body: { error: `${tensor}${message}${trace}` } };
}
