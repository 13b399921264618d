import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { readStartConfig } from '../../src/config.js';
import { migrateDatabase } from '../../src/infra/migrate.js';
import { startStack, type Stack } from '../../src/local/stack.js';

/** The servers that the whole run of tests shares; each test takes names of its own on them. */
export interface Servers {
  readonly databaseUrl: string;
  /** A migrated database without rows, to copy. */
  readonly templateDatabase: string;
  readonly redisUrl: string;
  readonly objects: Stack['objects'];
}

declare module 'vitest' {
  export interface ProvidedContext {
    servers: Servers;
  }
}

/**
 * Vitest's global setup: the servers named by DATABASE_URL, REDIS_URL and S3_ENDPOINT, and embedded ones, under a
 * temporary folder, for those that are not named.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'residual-test-'));
  const stack = await startStack(dataDir, readStartConfig(), false);
  const { databaseUrl, redisUrl, objects } = stack;
  const templateDatabase = `residual_template_${randomBytes(4).toString('hex')}`;
  await onDatabase(databaseUrl, `CREATE DATABASE ${templateDatabase}`);
  await migrateDatabase(urlOf(databaseUrl, templateDatabase));
  project.provide('servers', { databaseUrl, templateDatabase, redisUrl, objects });
  return async () => {
    await onDatabase(databaseUrl, `DROP DATABASE IF EXISTS ${templateDatabase} WITH (FORCE)`);
    await stack.stop();
    await rm(dataDir, { recursive: true, force: true });
  };
}

async function onDatabase(url: string, sql: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  await client.query(sql).finally(() => client.end());
}

function urlOf(serverUrl: string, database: string): string {
  return Object.assign(new URL(serverUrl), { pathname: `/${database}` }).href;
}
