import { PrismaPg } from '@prisma/adapter-pg';
import { PrismaClient } from './prisma/client.js';

export type Database = PrismaClient;
/** What a use case takes when it may also run inside a caller's transaction. */
export type Transaction = Omit<PrismaClient, '$connect' | '$disconnect' | '$on' | '$use' | '$extends' | '$transaction'>;

/** The one client of a process. A request waits for a database that is down for `connectionTimeoutMillis`. */
export function connectDatabase(url: string, options: { maxConnections?: number } = {}): Database {
  return new PrismaClient({
    adapter: new PrismaPg({
      connectionString: url,
      max: options.maxConnections ?? 10,
      connectionTimeoutMillis: 5_000,
      // A process that was frozen within a transaction must not keep its row locks from the others.
      idle_in_transaction_session_timeout: 5_000,
    }),
  });
}
