import { mkdirSync } from 'node:fs';
import path from 'node:path';
import type { ObjectsConfig } from '../config.js';
import { compiledProgram } from './compiled.js';
import { freePort } from './free-port.js';
import { keptSecret } from './secret.js';
import { spawnServer, untilReady, type ServerProcess } from './server-process.js';

export type ObjectsAccess = Pick<ObjectsConfig, 'endpoint' | 'accessKey' | 'secretKey'>;

/**
 * An S3 server in a process of its own on a free port of the loopback interface, its objects under `dataDir/objects`.
 * @param onPort where it stood before, for a restart that clients do not notice; 0 takes a free one
 * @throws ResidualError SERVICE_UNAVAILABLE
 */
export async function startObjects(dataDir: string, onPort = 0): Promise<ServerProcess & ObjectsAccess> {
  const program = compiledProgram('src/local/object-server.js');
  const folder = path.join(dataDir, 'objects');
  const accessKey = keptSecret(dataDir, 's3-access-key');
  const secretKey = keptSecret(dataDir, 's3-secret-key');
  const port = await freePort(onPort);
  const endpoint = `http://127.0.0.1:${port}`;
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const server = await spawnServer({
    name: 'objects',
    file: process.execPath,
    // s3rver enciphers the marks of listings past a thousand keys with DES, one of OpenSSL 3's legacy algorithms.
    args: ['--openssl-legacy-provider', program, String(port), folder, path.join(dataDir, 'secrets')],
    dataDir,
  });
  await untilReady(server, () => fetch(endpoint).then(({ status }) => status === 403, () => false));
  return { ...server, endpoint, accessKey, secretKey };
}
