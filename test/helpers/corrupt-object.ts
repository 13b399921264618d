import { Client } from 'minio';
import type { ObjectsConfig } from '../../src/config.js';

/** Replaces a stored object by other bytes of the same size, behind the object store's back. */
export async function corruptObject(config: ObjectsConfig, sha256: string): Promise<void> {
  const { hostname, port, protocol } = new URL(config.endpoint);
  const useSSL = protocol === 'https:';
  const client = new Client({
    endPoint: hostname,
    port: Number(port) || (useSSL ? 443 : 80),
    useSSL,
    accessKey: config.accessKey,
    secretKey: config.secretKey,
    region: config.region,
  });
  const key = `sha256/${sha256.slice(0, 2)}/${sha256}`;
  const { size } = await client.statObject(config.bucket, key);
  await client.putObject(config.bucket, key, Buffer.alloc(size, 7));
}
