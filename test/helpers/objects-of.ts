import type { ObjectsConfig } from '../../src/config.js';
import type { TestPlatform } from './platform.js';

/** The object store of a platform, as `createObjectStore` takes it. */
export const objectsOf = ({ env }: TestPlatform): ObjectsConfig => ({
  endpoint: env['S3_ENDPOINT']!,
  publicEndpoint: env['S3_ENDPOINT']!,
  accessKey: env['S3_ACCESS_KEY']!,
  secretKey: env['S3_SECRET_KEY']!,
  bucket: env['S3_BUCKET']!,
  region: 'us-east-1',
});
