import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject, onTestFinished } from 'vitest';

/** A suffix that no other test has. */
export const freshName = (prefix: string) => `${prefix}${randomBytes(6).toString('hex')}`;

/** The URL of a database of this name on the test's server, whether or not it exists. */
export function databaseUrl(name: string): string {
  return Object.assign(new URL(inject('servers').databaseUrl), { pathname: `/${name}` }).href;
}

/**
 * A new database with all migrations applied and no rows: its URL. `{ migrated: false }`: with nothing in it.
 * Drop it with `dropDatabase` where many are made; the embedded server's go with it.
 */
export async function freshDatabase({ migrated = true } = {}): Promise<string> {
  const name = freshName('test_');
  const template = migrated ? inject('servers').templateDatabase : 'template1';
  await execute(`CREATE DATABASE ${name} TEMPLATE ${template}`);
  return databaseUrl(name);
}

/** Also closes the connections to it. */
export async function dropDatabase(url: string): Promise<void> {
  await execute(`DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`);
}

/** A connection for a test that looks into the database itself; closed when the test ends. */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

async function execute(sql: string): Promise<void> {
  const client = new pg.Client(inject('servers').databaseUrl);
  await client.connect();
  await client.query(sql).finally(() => client.end());
}
