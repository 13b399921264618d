import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import path from 'node:path';
import { freePort } from './free-port.js';
import { keptSecret } from './secret.js';
import { spawnServer, untilReady, type ServerProcess } from './server-process.js';

/**
 * The distribution's redis-server on a free port of the loopback interface. Jobs are written to an append-only file
 * under `dataDir/redis`, at most a second after they were accepted.
 * @param onPort where it stood before, for a restart that clients do not notice; 0 takes a free one
 * @throws ResidualError SERVICE_UNAVAILABLE
 */
export async function startRedis(
  dataDir: string,
  onPort = 0,
): Promise<ServerProcess & { readonly url: string }> {
  const folder = path.join(dataDir, 'redis');
  const password = keptSecret(dataDir, 'redis');
  const port = await freePort(onPort);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const settings = {
    bind: '127.0.0.1', port, dir: JSON.stringify(folder), requirepass: password, // in a file: arguments are public
    appendonly: 'yes', appendfsync: 'everysec', save: '""', 'maxmemory-policy': 'noeviction', daemonize: 'no',
  };
  const file = path.join(folder, 'redis.conf');
  writeFileSync(file, Object.entries(settings).map(([k, v]) => `${k} ${v}\n`).join(''), { mode: 0o600 });
  const server = await spawnServer({
    name: 'redis', file: 'redis-server', args: [file], dataDir, remedy: 'apt-get install redis-server',
  });
  await untilReady(server, () => answersPing(port, password));
  return { ...server, url: `redis://:${password}@127.0.0.1:${port}` };
}

/** Redis accepts connections while it still reads its file, and says LOADING then. */
async function answersPing(port: number, password: string): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    socket.write(`AUTH ${password}\r\nPING\r\n`);
    let answer = '';
    for await (const chunk of socket) {
      answer += String(chunk);
      if (answer.split('\r\n').length > 2) break;
    }
    return answer.includes('+PONG');
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
