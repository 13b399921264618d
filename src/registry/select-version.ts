import { PREFERRED_ALIAS, type VersionSelector } from '../domain/reference.js';
import type { Transaction } from '../infra/database.js';
import type { Prisma } from '../infra/prisma/client.js';

/** The rows among which a selector's version is the one with the highest number. */
export function whereSelected(selector: VersionSelector): Prisma.ModelVersionWhereInput {
  if (selector === 'latest') return {};
  return typeof selector === 'number' ? { version: selector } : whereAlias(selector.alias);
}

/** Of a model's bare name. */
export async function wherePreferred(
  transaction: Transaction,
  model: Prisma.ModelWhereInput,
): Promise<Prisma.ModelVersionWhereInput> {
  const preferred = await transaction.modelAlias.count({ where: { model, name: PREFERRED_ALIAS } });
  return preferred === 0 ? {} : whereAlias(PREFERRED_ALIAS);
}

const whereAlias = (name: string): Prisma.ModelVersionWhereInput => ({ aliases: { some: { name } } });
