import type { ObjectsConfig } from '../../src/config.js';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { createObjectStore, type ObjectStore } from '../../src/infra/objects.js';
import type { TestPlatform } from './platform.js';

/** The bucket of a running platform. */
export function bucketOf({ env }: TestPlatform): ObjectsConfig {
  return {
    endpoint: env['S3_ENDPOINT']!, publicEndpoint: env['S3_ENDPOINT']!, accessKey: env['S3_ACCESS_KEY']!,
    secretKey: env['S3_SECRET_KEY']!, bucket: env['S3_BUCKET']!, region: 'us-east-1',
  }; // prettier-ignore
}

/** The stores of a running platform, for what no request could bring about in a moment. Disconnect the database. */
export function storesOf(platform: TestPlatform): { database: Database; objects: ObjectStore } {
  return {
    database: connectDatabase(platform.env['DATABASE_URL']!),
    objects: createObjectStore(bucketOf(platform)),
  };
}
