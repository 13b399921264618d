import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

/** A way to PostgreSQL on which answers get lost. */
export interface LossyProxy {
  /** The database as it is reached through it. */
  readonly url: string;
  /** From now on: whether the connection breaks between a COMMIT and its answer. The server has done it by then. */
  lose(answers: boolean): void;
  /** So far. */
  readonly lost: number;
  stop(): Promise<void>;
}

const COMMIT = Buffer.from('COMMIT');

export async function startLossyProxy(databaseUrl: string): Promise<LossyProxy> {
  const target = new URL(databaseUrl);
  const sockets = new Set<Socket>();
  let losing = false;
  let lost = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(target.port), target.hostname);
    let committing = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined).on('close', () => {
        client.destroy();
        upstream.destroy();
      }); // prettier-ignore
    }
    client.on('data', (bytes: Buffer) => {
      if (losing && bytes.includes(COMMIT)) committing = true;
      upstream.write(bytes);
    });
    upstream.on('data', (bytes: Buffer) => {
      if (!committing) return void client.write(bytes);
      lost++;
      client.destroy();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: Object.assign(new URL(databaseUrl), { hostname: '127.0.0.1', port: String(port) }).href,
    lose: (answers) => (losing = answers),
    get lost() {
      return lost;
    },
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}
