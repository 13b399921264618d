import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { conflict } from '../errors.js';

/**
 * The port itself if nobody listens on it now, and for 0 one that is free.
 * @param variable that asks for the port, for the error
 * @throws ResidualError CONFLICT
 */
export async function freePort(port = 0, host = '127.0.0.1', variable = 'PORT'): Promise<number> {
  const server = createServer().listen(port, host);
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw conflict(code === 'EADDRINUSE' ? `port ${port} of ${host} is in use (${variable})` : `${message} (HOST, ${variable})`);
  }
  const address = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return address.port;
}
