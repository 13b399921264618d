import { createHash, randomBytes } from 'node:crypto';
import { ResidualError, badInput, notFound } from '../errors.js';
import type { Database } from '../infra/database.js';
import type { ApiKey } from '../infra/prisma/client.js';
import type { Role } from './roles.js';

/** Who calls: what of a key the rest of the program may know. */
export interface Caller {
  readonly keyId: string;
  readonly role: Role;
}

export interface NewApiKey {
  readonly name: string;
  readonly role: Role;
  readonly expiresAt?: Date | null;
}

const MAX_NAME_LENGTH = 100;

/** The secret is in this answer and nowhere else: only its hash is stored. */
export async function createApiKey(
  { database }: { database: Database },
  { name, role, expiresAt = null }: NewApiKey,
): Promise<{ key: ApiKey; secret: string }> {
  if (name.trim() === '' || name.length > MAX_NAME_LENGTH)
    throw badInput('name', `a name has 1 to ${MAX_NAME_LENGTH} characters`);
  if (isPast(expiresAt)) throw badInput('expiresAt', 'expiresAt must lie in the future');
  const secret = `rsd_${randomBytes(32).toString('base64url')}`;
  const key = await database.apiKey.create({ data: { name, role, expiresAt, secretHash: hashSecret(secret) } });
  return { key, secret };
}

export function listApiKeys({ database }: { database: Database }): Promise<ApiKey[]> {
  return database.apiKey.findMany({ orderBy: { id: 'asc' } });
}

/** The key stops working at once in this process and within `ApiKeyVerifier`'s memory, a second, in others. */
export async function revokeApiKey(
  { database, keys }: { database: Database; keys: ApiKeyVerifier },
  id: string,
): Promise<boolean> {
  const { count } = await database.apiKey.deleteMany({ where: { id } });
  keys.forget();
  if (count === 0) throw notFound(`there is no API key ${id}`, 'id');
  return true;
}

/**
 * Makes the configured secret an ADMIN key, in place of the one configured before. Safe to repeat and to run in
 * several processes at once.
 */
export async function ensureAdminKey(
  { database }: { database: Database },
  secret: string,
): Promise<void> {
  const secretHash = hashSecret(secret);
  await database.apiKey.upsert({
    where: { secretHash },
    create: { name: 'admin', role: 'ADMIN', secretHash, configured: true },
    update: { role: 'ADMIN', expiresAt: null, configured: true },
  });
  await database.apiKey.deleteMany({ where: { configured: true, secretHash: { not: secretHash } } });
}

const MEMORY_MS = 1_000;
const LAST_USED_STEP_MS = 60_000;

/** Turns secrets into callers. Remembers a key for a second, so that a burst of requests reads the database once. */
export class ApiKeyVerifier {
  private readonly known = new Map<string, { key: Promise<ApiKey | null>; untilMs: number }>();

  constructor(private readonly database: Database) {}

  /** @throws UNAUTHENTICATED for a secret that is unknown, revoked or expired */
  async verify(secret: string): Promise<Caller> {
    const key = await this.find(hashSecret(secret));
    if (key === null) throw unauthenticated('this API key is unknown or was revoked');
    if (isPast(key.expiresAt)) throw unauthenticated('this API key has expired');
    return { keyId: key.id, role: key.role };
  }

  forget(): void {
    this.known.clear();
  }

  private find(hash: string): Promise<ApiKey | null> {
    const found = this.known.get(hash);
    if (found !== undefined && found.untilMs > Date.now()) return found.key;
    const key = this.read(hash);
    this.known.set(hash, { key, untilMs: Date.now() + MEMORY_MS });
    // Wrong secrets and failures are not remembered: anybody can send any number of them.
    key.then(
      (row) => row ?? this.known.delete(hash),
      () => this.known.delete(hash),
    );
    return key;
  }

  private async read(hash: string): Promise<ApiKey | null> {
    const key = await this.database.apiKey.findUnique({ where: { secretHash: hash } });
    if (key !== null) await this.noteUse(key);
    return key;
  }

  /** At most one write a minute: the moment of the last use is for people, to find keys that nobody uses. */
  private async noteUse({ id, lastUsedAt }: ApiKey): Promise<void> {
    const now = new Date();
    if (lastUsedAt !== null && now.getTime() - lastUsedAt.getTime() < LAST_USED_STEP_MS) return;
    await this.database.apiKey.updateMany({ where: { id }, data: { lastUsedAt: now } });
  }
}

const isPast = (moment: Date | null) => moment !== null && moment.getTime() <= Date.now();

const unauthenticated = (message: string) => new ResidualError('UNAUTHENTICATED', message);

function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
