import type { Transaction } from '../infra/database.js';

/** Part of the transaction that publishes a run's version: both are there, or neither. A worker does it later. */
export async function wantQuantization(
  transaction: Transaction,
  version: { readonly versionId: string; readonly datasetId: string },
): Promise<void> {
  await transaction.quantization.create({ data: version });
}
