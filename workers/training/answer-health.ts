import { once } from 'node:events';
import http from 'node:http';
import type { Metrics } from '../../src/infra/metrics.js';

export interface HealthServer {
  close(): Promise<void>;
}

export interface HealthAddress {
  readonly host: string;
  readonly port: number;
}

/** `/healthz` (200, or 503 with the reason) and `/metrics`. `check` throws where the worker is not well. */
export async function answerHealth(
  address: HealthAddress,
  metrics: Metrics,
  check: () => Promise<void>,
): Promise<HealthServer> {
  const server = http.createServer((request, response) => {
    const answer =
      request.url === '/metrics' ? () => metrics.registry.metrics() : request.url === '/healthz' ? check : undefined;
    if (!answer) return void response.writeHead(404).end();
    answer().then(
      (text) => response.end(text ?? 'ok'),
      (error: unknown) => response.writeHead(503).end(String(error)),
    );
  });
  server.listen(address);
  await once(server, 'listening');
  return {
    close: async () => {
      server.closeAllConnections();
      server.close();
    },
  };
}
