import type { Database } from '../infra/database.js';
import type { ObjectStore } from '../infra/objects.js';
import { uploadPrefix } from './upload-files.js';

/** Nobody takes longer between asking where to send a file and saying what it is. */
const KEPT_MS = 24 * 3_600_000;

/**
 * Removes uploads that nobody will read: weights that were never imported, and files of a data set that was deleted
 * before they were there, or while the store was away. Those of one that waits for its files stay, however old.
 * @param keptMs how old an upload is, by the store's clock, before it may go
 * @returns how many went
 */
export async function removeStrayUploads(
  { database, objects }: { readonly database: Database; readonly objects: ObjectStore },
  keptMs = KEPT_MS,
): Promise<number> {
  const uploads = await objects.uploadsBefore(new Date(Date.now() - keptMs));
  const waiting = await database.dataset.findMany({
    where: { status: { in: ['AWAITING_UPLOAD', 'VALIDATING'] } },
    select: { id: true },
  });
  const kept = new Set(waiting.map(({ id }) => uploadPrefix(id)));
  const stray = uploads.filter((key) => !kept.has(key.slice(0, key.indexOf('/') + 1)));
  for (const key of stray) await objects.removeUpload(key);
  return stray.length;
}
