import { Client } from 'minio';
import { inject } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { freshName } from './databases.js';

const REGION = 'us-east-1';

/** A new, empty bucket: what `createObjectStore` takes. */
export async function freshBucket(): Promise<ObjectsConfig> {
  const { endpoint, accessKey, secretKey } = inject('servers').objects;
  const bucket = freshName('test-');
  const config = { endpoint, publicEndpoint: endpoint, accessKey, secretKey, bucket, region: REGION };
  await bucketClient(config).makeBucket(bucket, REGION);
  return config;
}

/** The bare client, for tests that look at a bucket past the object store, or tamper with it. */
export function bucketClient({ endpoint, accessKey, secretKey, region }: ObjectsConfig): Client {
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === 'https:';
  return new Client({ endPoint: hostname, port: Number(port) || (useSSL ? 443 : 80), useSSL, accessKey, secretKey, region });
}

/** Every key in a bucket, sorted. */
export async function keysIn(config: ObjectsConfig): Promise<string[]> {
  const keys: string[] = [];
  for await (const { name } of bucketClient(config).listObjectsV2(config.bucket, '', true) as AsyncIterable<{ name: string }>)
    keys.push(name);
  return keys.sort();
}
