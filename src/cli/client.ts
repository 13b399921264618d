import { createClient, type Client } from 'graphql-ws';
import WebSocket from 'ws';

/** A client of the API as any other: GraphQL over HTTP, subscriptions over a WebSocket, a key in the header. */
export interface ApiClient {
  /** @throws ApiError */
  request<T>(query: string, variables?: Record<string, unknown>): Promise<T>;
  /** Ends when the server completes the subscription. @throws ApiError */
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
      });
      return dataOf<T>((await response.json()) as Answer);
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
        // graphql-ws throws the errors of an operation as they came.
        throw Array.isArray(error) ? new ApiError(error[0] as GraphQLFault) : error;
      }
    },
    // A server that is gone needs no goodbye.
    close: async () => {
      await Promise.resolve(socket?.dispose()).catch(() => undefined);
    },
  };
}

function dataOf<T>({ data, errors }: Answer): T {
  if (errors?.[0] !== undefined) throw new ApiError(errors[0]);
  return data as T;
}
