import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** One port before several servers: each connection goes to the next of them that takes it. */
export interface RoundRobin {
  readonly port: number;
  stop(): Promise<void>;
}

/**
 * A balancer of connections as docs/operations.md has one before several API processes, and no more than that: bytes
 * are handed on as they come, nothing is read or repeated.
 * @param onConnection told of each connection which server took it, and the client's port
 */
export async function startRoundRobin(
  ports: readonly number[],
  onConnection: (serverPort: number, clientPort: number) => void = () => undefined,
): Promise<RoundRobin> {
  const clients = new Set<Socket>();
  let turn = 0;
  const server = createServer({ noDelay: true }, async (client) => {
    clients.add(client);
    client.on('error', () => undefined).on('close', () => clients.delete(client));
    const first = turn++;
    for (let tried = 0; tried < ports.length; tried++) {
      const port = ports[(first + tried) % ports.length]!;
      const upstream = await connected(port);
      if (upstream === undefined) continue;
      onConnection(port, client.remotePort!);
      return join(client, upstream);
    }
    client.destroy();
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    stop: async () => {
      server.close();
      for (const client of clients) client.destroy();
      await once(server, 'close');
    },
  };
}

/** @returns nothing where no server listens */
async function connected(port: number): Promise<Socket | undefined> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  return once(socket, 'connect').then(() => socket, () => undefined);
}

/** What one sends the other gets; where one breaks, so does the other. */
function join(client: Socket, upstream: Socket): void {
  upstream.on('error', () => undefined).on('close', () => client.destroy());
  client.on('close', () => upstream.destroy());
  // It may have left while a server was looked for.
  if (client.destroyed) return void upstream.destroy();
  client.pipe(upstream).pipe(client);
}
