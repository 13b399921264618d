import { createClient as createSocket } from 'graphql-ws';
import { cacheExchange, Client, fetchExchange, mapExchange, subscriptionExchange } from 'urql';
import { connections } from './connections';
import { problemOf, type Problem } from './problem';

const PATH = '/graphql';
const MAX_RETRY_MS = 5_000;

/**
 * Queries and mutations over HTTP, subscriptions over one WebSocket that finds its way back by itself.
 * @param onRefused is told when the API does not take the key, or no longer
 */
export function createClient(key: string, onRefused?: (problem: Problem) => void): Client {
  const authorization = `Bearer ${key}`;
  const address = new URL(PATH, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const socket = createSocket({
    url: address.href,
    lazyCloseTimeout: 5_000,
    connectionParams: { authorization },
    retryAttempts: Infinity,
    shouldRetry: () => true,
    // Whoever watches a run sees it again soon after the server is back.
    retryWait: (retries) => new Promise((go) => setTimeout(go, Math.min(MAX_RETRY_MS, 300 * 2 ** retries))),
    on: { connected: () => connections.dispatchEvent(new Event('connected')) },
  });
  return new Client({
    url: PATH,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
    exchanges: [
      cacheExchange,
      mapExchange({
        onError(error) {
          const problem = problemOf(error);
          if (problem.code === 'UNAUTHENTICATED') onRefused?.(problem);
        },
      }),
      fetchExchange,
      subscriptionExchange({
        forwardSubscription: ({ query = '', variables = {} }) => ({
          subscribe: (sink) => ({
            unsubscribe: socket.subscribe({ query, variables: variables as Record<string, unknown> }, sink),
          }),
        }),
      }),
    ],
  });
}
