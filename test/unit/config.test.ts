import { describe, expect, test } from 'vitest';
import { readConfig, type ConfigError } from '../../src/config.js';

const SOUND = {
  NODE_ENV: 'production',
  DATABASE_URL: 'postgresql://residual:x7f3x7f3@db:5432/residual',
  REDIS_URL: 'redis://:x7f3x7f3@redis:6379',
  S3_ENDPOINT: 'http://s3:9000',
  S3_ACCESS_KEY: 'residual',
  S3_SECRET_KEY: 'x7f3x7f3',
  RESIDUAL_ADMIN_KEY: '0123456789abcdef',
};

function faultsOf(changed: Record<string, string>): readonly string[] {
  try {
    readConfig({ ...SOUND, ...changed });
  } catch (error) {
    return (error as ConfigError).faults;
  }
  return [];
}

describe('a well-known default secret', () => {
  const known = {
    DATABASE_URL: 'postgresql://residual:p%6Fstgres@db:5432/residual',
    REDIS_URL: 'redis://:changeme@redis:6379',
    S3_SECRET_KEY: 'minioadmin',
  };

  test.each(Object.entries(known))('is refused in production: %s', (name, value) => {
    expect(faultsOf({ [name]: value })).toEqual([expect.stringMatching(`^${name} holds a well-known default secret`)]);
  });

  test('is named with all others at once, never told, and taken elsewhere', () => {
    const faults = faultsOf(known);
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(Object.keys(known));
    expect(faults.join()).not.toMatch(/postgres|changeme|minioadmin/);
    expect(faultsOf({ ...known, NODE_ENV: 'development' })).toEqual([]);
  });
});

test.each([
  ['DATABASE_URL', 'mysql://db/residual', 'postgresql'],
  ['DATABASE_URL', 'postgresql://residual:50%off@db/residual', 'postgresql'],
  ['REDIS_URL', 'redis://:50%off@redis:6379', 'redis'],
  ['REDIS_URL', 'redis://redis:port', 'redis'],
])('%s is no %s, by its name and without what it holds', (name, value, scheme) => {
  expect(faultsOf({ [name]: value })).toEqual([`${name} must be a ${scheme}:// URL`]);
});

test('an admin key is of 16 characters or more', () => {
  expect(faultsOf({ RESIDUAL_ADMIN_KEY: '0123456789abcde' })).toEqual(['RESIDUAL_ADMIN_KEY must have at least 16 characters']);
  expect(faultsOf({})).toEqual([]);
});
