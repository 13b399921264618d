import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { PrismaPg } from '@prisma/adapter-pg';
import {
  bindMigrationAwareSqlAdapterFactory,
  ColumnTypeEnum,
  type SqlMigrationAwareDriverAdapterFactory,
  type SqlQuery,
  type SqlResultSet,
} from '@prisma/driver-adapter-utils';
import * as bindings from '@prisma/schema-engine-wasm/schema_engine_bg';
import pg from 'pg';

/**
 * Prisma's schema engine as WebAssembly over the pg driver: what `prisma migrate` does, without the native engine,
 * which Prisma would download. It uses the adapter's insides, so the packages' versions are pinned.
 */
export type SchemaEngine = bindings.SchemaEngine;

/** Hands `work` an engine connected to `url`, and closes it. */
export async function withSchemaEngine<T>(
  url: string,
  schema: readonly { path: string; content: string }[],
  work: (engine: SchemaEngine) => Promise<T>,
): Promise<T> {
  await (loading ??= loadEngine());
  const pool = new pg.Pool({ connectionString: url, max: 1, connectionTimeoutMillis: 5_000 });
  const engine = await bindings.SchemaEngine.new(
    { datamodels: schema.map(({ path, content }) => [path, content]) },
    () => undefined,
    bindMigrationAwareSqlAdapterFactory(mended(new PrismaPg(pool))),
  );
  try {
    return await work(engine);
  } finally {
    engine.free();
    await pool.end();
  }
}

let loading: Promise<void> | undefined;

/** A global of Node that TypeScript knows of with the browser's types only. */
declare const WebAssembly: {
  instantiate(file: Uint8Array, imports: object): Promise<{ instance: { exports: object } }>;
};

/** The package's own entry imports the .wasm file as a module, which Node 20 does not do. */
async function loadEngine(): Promise<void> {
  const panics = { set_message: (message: string) => console.error(message) };
  Object.assign(globalThis, { PRISMA_WASM_PANIC_REGISTRY: panics });
  const entry = createRequire(import.meta.url).resolve('@prisma/schema-engine-wasm');
  const file = await readFile(path.join(path.dirname(entry), 'schema_engine_bg.wasm'));
  const { instance } = await WebAssembly.instantiate(file, { './schema_engine_bg.js': bindings });
  bindings.__wbg_set_wasm(instance.exports);
  (instance.exports as { __wbindgen_start(): void }).__wbindgen_start();
}

/** The parts of adapter-pg 7.10's connection that the mends reach for; its types hide them. */
interface Connection {
  client: { query(sql: string): Promise<unknown> };
  onError(error: unknown): never;
  performIO(query: SqlQuery): Promise<{ fields: { dataTypeID: number }[] }>;
  queryRaw(query: SqlQuery): Promise<SqlResultSet>;
}

const CHAR = 18;
const TEXT = 25;

/** adapter-pg refuses the catalogs' "char" type, and cuts scripts at every semicolon, also at those within a body. */
function mended(factory: PrismaPg): SqlMigrationAwareDriverAdapterFactory {
  const connect = async () => {
    const connection = (await factory.connect()) as unknown as Connection;
    return Object.assign(Object.create(connection), {
      queryRaw: (query: SqlQuery) => queryWithChar(connection, query),
      executeScript: (script: string) => executeWhole(connection, script),
    });
  };
  return Object.assign(Object.create(factory), { connect });
}

/**
 * PostgreSQL runs a text of several statements as one transaction. That the migration is finished is written within it:
 * Prisma would write it after, and a process that dies between the two would leave tables that nobody remembers making.
 */
async function executeWhole(connection: Connection, script: string): Promise<void> {
  const finish =
    'UPDATE _prisma_migrations SET finished_at = now() WHERE finished_at IS NULL AND rolled_back_at IS NULL';
  await connection.client.query(`${script}\n;\n${finish}`).catch((error: unknown) => connection.onError(error));
}

async function queryWithChar(connection: Connection, query: SqlQuery): Promise<SqlResultSet> {
  const answer = await connection.performIO(query);
  const isChar = answer.fields.map(({ dataTypeID }) => dataTypeID === CHAR);
  for (const field of answer.fields) if (field.dataTypeID === CHAR) field.dataTypeID = TEXT;
  const answered = Object.assign(Object.create(connection), { performIO: async () => answer }) as Connection;
  const result = await connection.queryRaw.call(answered, query);
  const columnTypes = result.columnTypes.map((type, i) => (isChar[i] ? ColumnTypeEnum.Character : type));
  return { ...result, columnTypes };
}
