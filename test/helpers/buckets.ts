import { Client } from 'minio';
import { inject } from 'vitest';
import type { ObjectsConfig } from '../../src/config.js';
import { freshName } from './databases.js';

const REGION = 'us-east-1';

/** A new, empty bucket: what `createObjectStore` takes. */
export async function freshBucket(): Promise<ObjectsConfig> {
  const { endpoint, accessKey, secretKey } = inject('servers').objects;
  const { hostname, port, protocol } = new URL(endpoint);
  const useSSL = protocol === 'https:';
  const client = new Client({
    endPoint: hostname, port: Number(port) || (useSSL ? 443 : 80), useSSL, accessKey, secretKey, region: REGION,
  });
  const bucket = freshName('test-');
  await client.makeBucket(bucket, REGION);
  return { endpoint, publicEndpoint: endpoint, accessKey, secretKey, bucket, region: REGION };
}
