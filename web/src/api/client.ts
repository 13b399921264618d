import { createClient as createSocket } from 'graphql-ws';
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from 'urql';

const PATH = '/graphql';

/** Queries and mutations over HTTP, subscriptions over one WebSocket that finds its way back by itself. */
export function createClient(key: string): Client {
  const authorization = `Bearer ${key}`;
  const address = new URL(PATH, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  const socket = createSocket({
    url: address.href,
    lazyCloseTimeout: 5_000,
    connectionParams: { authorization },
    retryAttempts: Infinity,
    shouldRetry: () => true,
  });
  return new Client({
    url: PATH,
    preferGetMethod: false,
    fetchOptions: { headers: { authorization } },
    exchanges: [
      cacheExchange,
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
