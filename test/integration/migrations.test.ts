import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { migrateDatabase, schemaDrift } from '../../src/infra/migrate.js';
import { connect, databaseUrl, freshDatabase } from '../helpers/databases.js';

const MIGRATIONS = path.resolve(import.meta.dirname, '../../prisma/migrations');

describe('migrateDatabase', () => {
  test('leaves a database that does not differ from schema.prisma', async () => {
    const url = await freshDatabase({ migrated: false });
    expect(await schemaDrift(url)).toContain('TrainingRun');
    const applied = await migrateDatabase(url);
    expect(applied[0]).toMatch(/_init$/);
    expect(await schemaDrift(url)).toBeNull();
  });

  test('notices a column that schema.prisma does not have', async () => {
    const url = await freshDatabase();
    const client = await connect(url);
    await client.query('ALTER TABLE "Model" ADD COLUMN surprise TEXT');
    expect(await schemaDrift(url)).toContain('surprise');
  });

  test('counts on from the version numbers that were given before there was a count', async () => {
    const url = await freshDatabase({ migrated: false });
    await migrateDatabase(url, { folder: await migrationsBefore('20261125064100_aliases') });
    const client = await connect(url);
    await client.query(`INSERT INTO "Model" (id, name, definition, height, width, channels)
                        VALUES ('a', 'a', '{}', 8, 8, 1), ('b', 'b', '{}', 8, 8, 1)`);
    await client.query(`INSERT INTO "ModelVersion" (id, "modelId", version, definition)
                        VALUES ('1', 'a', 1, '{}'), ('7', 'a', 7, '{}')`);
    await migrateDatabase(url);
    const { rows } = await client.query('SELECT id, "lastVersion" FROM "Model" ORDER BY id');
    expect(rows).toEqual([{ id: 'a', lastVersion: 7 }, { id: 'b', lastVersion: 0 }]);
  });

  test('records what it applied where Prisma looks for it, and applies it once', async () => {
    const url = await freshDatabase({ migrated: false });
    const applied = await migrateDatabase(url);
    expect(await migrateDatabase(url)).toEqual([]);
    const client = await connect(url);
    const { rows } = await client.query('SELECT migration_name, finished_at, applied_steps_count FROM _prisma_migrations');
    expect(rows.map((row) => row.migration_name)).toEqual(applied);
    expect(rows.every((row) => row.finished_at !== null && row.applied_steps_count === 1)).toBe(true);
  });

  test('run four times at once applies each migration once', async () => {
    const url = await freshDatabase({ migrated: false });
    const applied = await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(url)));
    expect(applied.filter((names) => names.length > 0)).toHaveLength(1);
    const client = await connect(url);
    const { rows } = await client.query('SELECT migration_name FROM _prisma_migrations');
    expect(new Set(rows.map((row) => row.migration_name)).size).toBe(rows.length);
  });

  test('waits while another process holds the lock', async () => {
    const url = await freshDatabase({ migrated: false });
    const client = await connect(url);
    await client.query('SELECT pg_advisory_lock($1)', [0x5e51_d0a1]);
    let done = false;
    const migrating = migrateDatabase(url).finally(() => (done = true));
    await expect.poll(() => waitingForAdvisoryLock(client), { timeout: 15_000 }).toBe(1);
    expect(done).toBe(false);
    await client.query('SELECT pg_advisory_unlock($1)', [0x5e51_d0a1]);
    expect(await migrating).not.toEqual([]);
  });

  test('leaves nothing of a migration that fails, says which and why, and applies it once it is mended', async () => {
    const url = await freshDatabase();
    const broken = 'CREATE TABLE half (id INT);\nINSERT INTO no_such_table VALUES (1);';
    const folder = await migrationsWith('20991231000000_broken', broken);
    await expect(migrateDatabase(url, { folder })).rejects.toThrow(/20991231000000_broken.*no_such_table/s);
    const client = await connect(url);
    const { rows } = await client.query(`SELECT to_regclass('half') AS half`);
    expect(rows).toEqual([{ half: null }]);

    await writeFile(path.join(folder, '20991231000000_broken/migration.sql'), 'CREATE TABLE half (id INT);');
    expect(await migrateDatabase(url, { folder })).toEqual(['20991231000000_broken']);
  });

  test('takes up a migration whose process was killed halfway', async () => {
    const url = await freshDatabase();
    const client = await connect(url);
    await client.query(`INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)
                        VALUES ('1', '', '20991231000000_next', now(), 0)`);
    const folder = await migrationsWith('20991231000000_next', 'CREATE TABLE next (id INT);');
    expect(await migrateDatabase(url, { folder })).toEqual(['20991231000000_next']);
  });

  test('runs a script with semicolons inside a function body', async () => {
    const url = await freshDatabase();
    const body = 'CREATE FUNCTION two() RETURNS INT LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; RETURN 2; END $$;';
    await migrateDatabase(url, { folder: await migrationsWith('20991231000000_function', body) });
    const client = await connect(url);
    expect((await client.query('SELECT two()')).rows).toEqual([{ two: 2 }]);
  });

  test('says in one line, without the password, that the password is wrong or the database is missing', async () => {
    const wrong = new URL(await freshDatabase());
    wrong.password = 'not-the-password';
    await expect(migrateDatabase(wrong.href)).rejects.toMatchObject({
      code: 'SERVICE_UNAVAILABLE',
      message: expect.stringMatching(/^the database at \S+ refuses the password of user \w+ \(DATABASE_URL\)$/),
    });
    await expect(migrateDatabase(databaseUrl('no_such_database'))).rejects.toThrow('has no database no_such_database');
    await expect(migrateDatabase('postgresql://u:p@127.0.0.1:9/x')).rejects.toThrow('no database answers at 127.0.0.1:9');
  });
});

async function waitingForAdvisoryLock(client: Awaited<ReturnType<typeof connect>>): Promise<number> {
  const { rows } = await client.query(
    `SELECT count(*)::int AS waiting FROM pg_locks JOIN pg_database ON oid = database
     WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`,
  );
  return rows[0].waiting;
}

/** A copy of the migrations without `name` and what follows it. */
async function migrationsBefore(name: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'residual-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const filter = (source: string) => path.relative(MIGRATIONS, source) < name;
  await cp(MIGRATIONS, folder, { recursive: true, filter });
  return folder;
}

/** A copy of the migrations with one more. */
async function migrationsWith(name: string, sql: string): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), 'residual-migrations-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  await cp(MIGRATIONS, folder, { recursive: true });
  await mkdir(path.join(folder, name));
  await writeFile(path.join(folder, name, 'migration.sql'), sql);
  return folder;
}
