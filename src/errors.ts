/**
 * The table of errors: every failure that a caller can see has its code here. `docs/errors.md` says the same in prose,
 * and a test holds the two and the GraphQL contract together.
 */
export const ERROR_CODES = {
  UNAUTHENTICATED: { retryable: false, meaning: 'The request carries no key, or a wrong, revoked or expired one.' },
  FORBIDDEN: { retryable: false, meaning: "The key's role does not allow this operation." },
  BAD_USER_INPUT: { retryable: false, meaning: 'An argument is wrong; `extensions.field` is its dotted path.' },
  NOT_FOUND: { retryable: false, meaning: 'What the request names does not exist.' },
  CONFLICT: { retryable: false, meaning: 'The request contradicts what is there: a name taken, a run still active.' },
  PAYLOAD_TOO_LARGE: { retryable: false, meaning: 'The body, a file or a decoded image is larger than the limit.' },
  RATE_LIMITED: { retryable: true, meaning: 'Too many requests wait already, or a key sends too many; try later.' },
  QUERY_TOO_COMPLEX: { retryable: false, meaning: 'The query asks for more than one request may.' },
  SERVICE_UNAVAILABLE: { retryable: true, meaning: 'The database, the queue or the object store does not answer.' },
  INTERNAL_SERVER_ERROR: { retryable: false, meaning: 'A fault of ours; `correlationId` finds it in the log.' },
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** A failure that is told to the caller as it stands. Anything else is masked at the edge. */
export class ResidualError extends Error {
  override readonly name = 'ResidualError';

  /** When the same request may succeed, where that is known. */
  readonly retryAfterMs: number | undefined;

  constructor(
    readonly code: ErrorCode,
    message: string,
    /** Dotted path of the argument at fault: `input.optimizer.learningRate`. */
    readonly field?: string,
    options?: ErrorOptions & { readonly retryAfterMs?: number },
  ) {
    super(message, options);
    this.retryAfterMs = options?.retryAfterMs;
  }

  get retryable(): boolean {
    return ERROR_CODES[this.code].retryable;
  }
}

/** `field` is the dotted path of the argument, `message` names what would be right. */
export const badInput = (field: string, message: string) => new ResidualError('BAD_USER_INPUT', message, field);
export const notFound = (message: string, field?: string) => new ResidualError('NOT_FOUND', message, field);
export const conflict = (message: string, field?: string) => new ResidualError('CONFLICT', message, field);
export const tooLarge = (message: string, field?: string) => new ResidualError('PAYLOAD_TOO_LARGE', message, field);
export const unavailable = (message: string, cause?: unknown) =>
  new ResidualError('SERVICE_UNAVAILABLE', message, undefined, { cause });

/** `retryAfterMs` as the header `retry-after`, which counts in seconds (RFC 9110, section 10.2.3). */
export const retryAfterSeconds = (milliseconds: unknown): string => String(Math.ceil(Number(milliseconds) / 1_000));

/** Prisma's, PostgreSQL's and the socket's ways of saying that a server cannot be reached just now. */
const OUTAGES = new Set([
  ...['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037'],
  ...['25P03', '57P01', '57P02', '57P03', '08000', '08001', '08003', '08006', '53300'],
  ...['ECONNREFUSED', 'ECONNRESET', 'ETIMEDOUT', 'EPIPE', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH'],
]);
const OUTAGE_MESSAGE =
  /timeout exceeded when trying to connect|Connection (terminated|ended)|terminating connection|is not queryable|Can't reach database server|Server has closed the connection|ECONNREFUSED/;

/** An error as anybody throws it. Prisma keeps what PostgreSQL said in objects that are no errors. */
interface Failure {
  readonly code?: unknown;
  readonly originalCode?: unknown;
  readonly message?: unknown;
  readonly cause?: unknown;
  readonly meta?: { readonly driverAdapterError?: unknown };
}

/** Whether a server was away, so that the same thing may work a moment later. */
export function isOutage(error: unknown, depth = 0): boolean {
  if (typeof error !== 'object' || error === null || depth > 5) return false;
  const { code, originalCode, message, cause, meta } = error as Failure;
  return (
    code === 'SERVICE_UNAVAILABLE' ||
    OUTAGES.has(String(code)) ||
    OUTAGES.has(String(originalCode)) ||
    OUTAGE_MESSAGE.test(String(message)) ||
    isOutage(cause, depth + 1) ||
    isOutage(meta?.driverAdapterError, depth + 1)
  );
}

/** Proves to the compiler that a `switch` over a union has a case for each member. */
export function assertExhaustive(value: never): never {
  throw new Error(`unexpected value: ${JSON.stringify(value)}`);
}
