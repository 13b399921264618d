import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';

/** A client of the API as any other: GraphQL over HTTP, subscriptions over a WebSocket, a key in the header. */
export interface ApiClient {
  /** @throws ApiError, Unreachable */
  request<T>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** Ends when the server completes the subscription. @throws ApiError, Unreachable */
  subscribe<T>(query: string, variables?: Record<string, unknown>): AsyncIterable<T>;
  close(): Promise<void>;
}

interface GraphQLFault {
  readonly message: string;
  readonly extensions?: { readonly code?: string; readonly field?: string };
}

interface Answer {
  readonly data?: unknown;
  readonly errors?: readonly GraphQLFault[] | undefined;
}

/** The API refused the request; the message is its own. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  readonly code: string | undefined;

  constructor({ message, extensions }: GraphQLFault) {
    super(extensions?.field === undefined ? message : `${extensions.field}: ${message}`);
    this.code = extensions?.code;
  }
}

/** Nothing answers at that address, or something that is no GraphQL server. */
export class Unreachable extends Error {
  override readonly name = 'Unreachable';

  /** @param why what was thrown, or what was answered */
  constructor(url: string, why: unknown) {
    super(`${url} cannot be reached: ${reasonOf(why)}`);
  }
}

/** fetch and WebSocket hide what happened in a cause, Node's attempts at several addresses in a list. */
function reasonOf(why: unknown): string {
  if (typeof why === 'string') return why;
  const { message, cause, code, reason } = why as Error & { code?: unknown; reason?: string };
  if (cause !== undefined) return reasonOf(cause);
  return message || reason || String(code ?? why);
}

/** @param url of the GraphQL endpoint */
export function connectApi(url: string, key: string): ApiClient {
  const authorization = `Bearer ${key}`;
  let socket: Client | undefined;
  return {
    async request<T>(query: string, variables: Record<string, unknown> = {}) {
      const response = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization },
        body: JSON.stringify({ query, variables }),
      }).catch((error: unknown) => Promise.reject(new Unreachable(url, error)));
      return dataOf<T>(await answerOf(url, response));
    },
    async *subscribe<T>(query: string, variables: Record<string, unknown> = {}) {
      socket ??= createClient({
        url: url.replace(/^http/, 'ws'),
        webSocketImpl: WebSocket,
        connectionParams: { authorization },
      });
      try {
        for await (const answer of socket.iterate({ query, variables })) yield dataOf<T>(answer as Answer);
      } catch (error) {
        if (error instanceof ApiError) throw error;
        // graphql-ws throws the errors of an operation as they came, and what closed the socket as an event.
        throw Array.isArray(error) ? new ApiError(error[0] as GraphQLFault) : new Unreachable(url, error);
      }
    },
    // A server that is gone needs no goodbye.
    close: async () => {
      await Promise.resolve(socket?.dispose()).catch(() => undefined);
    },
  };
}

async function answerOf(url: string, response: Response): Promise<Answer> {
  const answer: unknown = await response.json().catch(() => undefined);
  const isAnswer = typeof answer === 'object' && answer !== null && ('data' in answer || 'errors' in answer);
  if (!isAnswer) throw new Unreachable(url, `status ${response.status}, and no answer of GraphQL`);
  return answer as Answer;
}

function dataOf<T>({ data, errors }: Answer): T {
  if (errors?.[0] !== undefined) throw new ApiError(errors[0]);
  return data as T;
}
