import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { isOutage } from '../../src/errors.js';
import { connectDatabase } from '../../src/infra/database.js';
import { impatientClient, serverProbe } from '../../src/infra/impatient-client.js';
import { startFaultyServers, type FaultyServers } from '../helpers/faulty-servers.js';

let servers: FaultyServers;
let url: string;

beforeAll(async () => {
  servers = await startFaultyServers();
  url = servers.addresses.databaseUrl;
});
afterAll(() => servers.stop());

/** @param more of the client's limits */
async function withPool<T>(more: { silentMs: number; longestMs?: number }, work: (pool: pg.Pool) => Promise<T>): Promise<T> {
  const pool = new pg.Pool({ connectionString: url, max: 1, Client: impatientClient(serverProbe(url), more) });
  pool.on('error', () => undefined);
  return work(pool).finally(() => pool.end());
}

it('a query that takes long is waited for while the server lives', async () => {
  const { rows } = await withPool({ silentMs: 100 }, (pool) => pool.query('SELECT 1 AS one FROM pg_sleep(1.2)'));
  expect(rows).toEqual([{ one: 1 }]);
});

it('one that takes longer than any of ours does is given up, and its connection with it', async () => {
  await withPool({ silentMs: 100, longestMs: 500 }, async (pool) => {
    const error = await pool.query('SELECT pg_sleep(30)').catch((reason: unknown) => reason);
    expect(isOutage(error)).toBe(true);
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  });
});

it('a transaction that a frozen server holds up fails as an outage within 6 s, and of it nothing is left, not even a lock', async () => {
  const database = connectDatabase(url, { maxConnections: 1 });
  await database.$executeRaw`CREATE TABLE rows (id int PRIMARY KEY, value int)`;
  await database.$executeRaw`INSERT INTO rows VALUES (1, 0)`;
  let frozenAt = 0;
  const held = database.$transaction(async (transaction) => {
    await transaction.$executeRaw`UPDATE rows SET value = 1 WHERE id = 1`;
    await servers.postgres.freeze();
    frozenAt = performance.now();
    await transaction.$executeRaw`UPDATE rows SET value = 2 WHERE id = 1`;
  });
  const error = await held.catch((reason: unknown) => reason);
  expect(isOutage(error)).toBe(true);
  expect(performance.now() - frozenAt).toBeLessThan(6_000);
  await servers.postgres.thaw();
  const other = connectDatabase(url);
  const [row] = await other.$queryRaw<{ value: number }[]>`SELECT value FROM rows WHERE id = 1 FOR UPDATE`;
  expect(row).toEqual({ value: 0 });
  expect(await database.$queryRaw`SELECT 1 AS one`).toEqual([{ one: 1 }]);
  await Promise.all([database.$disconnect(), other.$disconnect()]);
});
