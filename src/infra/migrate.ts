import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import pg from 'pg';
import { unavailable } from '../errors.js';
import { withSchemaEngine, type SchemaEngine } from './schema-engine.js';

/** `prisma/`, seen from the source and from the compiled file. */
const PRISMA_FOLDER = ['../../prisma', '../../../prisma']
  .map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  .find(existsSync) as string;

/** Any number that nothing else locks; Prisma's own tools take another of theirs while they apply. */
const LOCK_KEY = 0x5e51_d0a1;
const NO_FILTERS = { externalTables: [], externalEnums: [] };

/**
 * Applies the migrations that the database has not had, one process at a time, recorded as `prisma migrate deploy`
 * records them. A migration is sent as one script, so that PostgreSQL applies all of it or nothing; one that failed is
 * marked as rolled back and tried again at the next start.
 * @returns the names of those applied now
 * @throws ResidualError SERVICE_UNAVAILABLE when the database refuses the connection
 * @throws MigrationError
 */
export async function migrateDatabase(url: string, options: { folder?: string } = {}): Promise<string[]> {
  const folder = options.folder ?? path.join(PRISMA_FOLDER, 'migrations');
  const migrationsList = await listMigrations(folder);
  return underLock(url, async (client) => {
    await forgetInterrupted(client);
    return withSchemaEngine(url, await schemaFiles(), async (engine) => {
      try {
        return (await engine.applyMigrations({ migrationsList, filters: NO_FILTERS })).appliedMigrationNames;
      } catch (error) {
        const [name] = await forgetInterrupted(client);
        throw new MigrationError(`migration ${name ?? ''} failed: ${messageOf(error)}`, { cause: error });
      }
    });
  });
}

/** A migration that the database refused; nothing of it is applied. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/** What would have to change for the database to be as schema.prisma says, in words; null if nothing. */
export async function schemaDrift(url: string): Promise<string | null> {
  const files = await schemaFiles();
  const { exitCode, stdout } = await withSchemaEngine(url, files, (engine) =>
    engine.diff({
      from: { tag: 'schemaDatasource', files, configDir: PRISMA_FOLDER },
      to: { tag: 'schemaDatamodel', files },
      script: false,
      exitCode: true,
      filters: NO_FILTERS,
    }),
  );
  return exitCode === 2 ? stdout : null;
}

const messageOf = (error: unknown) => String((error as { message?: unknown }).message ?? error);

async function underLock<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  // A connection that breaks fails the query under way; without a listener it would end the process instead.
  client.on('error', () => undefined);
  await client.connect().catch((error: unknown) => {
    throw unavailable(refusal(new URL(url), error), error);
  });
  try {
    await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    return await work(client);
  } finally {
    await client.end();
  }
}

/** Why a connection came to nothing, on one line and without the password. */
function refusal({ host, pathname, username }: URL, error: unknown): string {
  const reasons: Record<string, string> = {
    '28P01': `the database at ${host} refuses the password of user ${username} (DATABASE_URL)`,
    '28000': `the database at ${host} does not let user ${username} in (DATABASE_URL)`,
    '3D000': `the server at ${host} has no database ${pathname.slice(1)} (DATABASE_URL)`,
    ECONNREFUSED: `no database answers at ${host} (DATABASE_URL)`,
    ENOTFOUND: `no host is called ${host} (DATABASE_URL)`,
  };
  const { code = '' } = error as { code?: string };
  return reasons[code] ?? `the database at ${host} does not answer (DATABASE_URL): ${messageOf(error).split('\n')[0]}`;
}

/**
 * While a migration is recorded as begun and not as finished, Prisma applies no other. Under our lock nobody else
 * works on one, and PostgreSQL has undone what it held: it may be tried again.
 * @returns their names
 */
async function forgetInterrupted(client: pg.Client): Promise<string[]> {
  const recorded = await client.query<{ there: boolean }>(
    `SELECT to_regclass('_prisma_migrations') IS NOT NULL AS there`,
  );
  if (!recorded.rows[0]?.there) return [];
  const { rows } = await client.query<{ migration_name: string }>(
    `UPDATE _prisma_migrations SET rolled_back_at = now()
     WHERE finished_at IS NULL AND rolled_back_at IS NULL RETURNING migration_name`,
  );
  return rows.map((row) => row.migration_name);
}

async function schemaFiles(): Promise<{ path: string; content: string }[]> {
  const file = path.join(PRISMA_FOLDER, 'schema.prisma');
  return [{ path: file, content: await readFile(file, 'utf8') }];
}

type MigrationsList = Parameters<SchemaEngine['applyMigrations']>[0]['migrationsList'];

async function listMigrations(folder: string): Promise<MigrationsList> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).toSorted();
  const read = async (name: string) => ({
    path: name,
    migrationFile: {
      path: 'migration.sql',
      content: { tag: 'ok' as const, value: await readFile(path.join(folder, name, 'migration.sql'), 'utf8') },
    },
  });
  return {
    baseDir: folder,
    shadowDbInitScript: '',
    lockfile: {
      path: 'migration_lock.toml',
      content: await readFile(path.join(folder, 'migration_lock.toml'), 'utf8').catch(() => null),
    },
    migrationDirectories: await Promise.all(names.map(read)),
  };
}
