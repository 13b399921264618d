import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

/** A way to a server that can be shut (connections are cut and refused) or held (nothing gets through any more). */
export interface Gate {
  /** The server's URL, through the gate. */
  readonly url: string;
  shut(): Promise<void>;
  hold(): void;
  /** Lets everything through again, what was held as well. */
  open(): Promise<void>;
}

const DEFAULT_PORTS: Record<string, number> = { 'postgresql:': 5432, 'redis:': 6379, 'http:': 80 };

export async function openGate(serverUrl: string): Promise<Gate> {
  const target = new URL(serverUrl);
  const targetPort = Number(target.port) || DEFAULT_PORTS[target.protocol]!;
  const sockets = new Set<Socket>();
  let held = false;
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
    if (held) socket.pause();
  };
  const server = createServer((client) => {
    const upstream = connect(targetPort, target.hostname);
    for (const [from, to] of [[client, upstream], [upstream, client]] as const) {
      from.on('data', (data) => to.write(data)).on('close', () => to.destroy());
      keep(from);
    }
  });
  const listen = async (port: number) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  const shut = async () => {
    const closed = once(server, 'close');
    server.close();
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await listen(0);
  const { port } = server.address() as AddressInfo;
  onTestFinished(() => (server.listening ? shut() : undefined));
  const through = new URL(serverUrl);
  through.host = `127.0.0.1:${port}`;
  return {
    url: through.href.replace(/\/$/, ''),
    shut,
    hold: () => {
      held = true;
      for (const socket of sockets) socket.pause();
    },
    open: async () => {
      held = false;
      for (const socket of sockets) socket.resume();
      if (!server.listening) await listen(port);
    },
  };
}
