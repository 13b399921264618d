import type { ObjectsConfig } from '../../src/config.js';
import { bucketClient } from './buckets.js';

/** Replaces a stored object by other bytes of the same size, behind the object store's back. */
export async function corruptObject(config: ObjectsConfig, sha256: string): Promise<void> {
  const client = bucketClient(config);
  const key = `sha256/${sha256.slice(0, 2)}/${sha256}`;
  const { size } = await client.statObject(config.bucket, key);
  await client.putObject(config.bucket, key, Buffer.alloc(size, 7));
}
