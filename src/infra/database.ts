import { PrismaPg } from '@prisma/adapter-pg';
import { impatientClient, serverProbe } from './impatient-client.js';
import { PrismaClient } from './prisma/client.js';

export type Database = PrismaClient;
/** What a use case takes when it may also run inside a caller's transaction. */
export type Transaction = Omit<PrismaClient, '$connect' | '$disconnect' | '$on' | '$use' | '$extends' | '$transaction'>;

/** For a transaction that writes a row for each of a sweep's trials, of which there may be a thousand. */
export const MANY_ROWS = { timeout: 60_000 };

/** How long a query or a transaction waits for a connection: the others may be busy, or the server may be down. */
const CONNECTION_TIMEOUT_MS = 5_000;

/**
 * The one client of a process. A request waits for a database that is down for CONNECTION_TIMEOUT_MS, and about as
 * long for one that is frozen. A write that failed so may have happened: what is lost may be the answer alone.
 */
export function connectDatabase(url: string, options: { maxConnections?: number } = {}): Database {
  return new PrismaClient({
    adapter: new PrismaPg({
      connectionString: url,
      max: options.maxConnections ?? 10,
      connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
      // A process that was frozen within a transaction must not keep its row locks from the others.
      idle_in_transaction_session_timeout: 5_000,
      Client: impatientClient(serverProbe(url)),
    }),
    transactionOptions: { maxWait: CONNECTION_TIMEOUT_MS },
  });
}
