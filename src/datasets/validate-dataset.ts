import path from 'node:path';
import type { Records } from '../formats/records.js';
import type { Database, Transaction } from '../infra/database.js';
import {
  dropObjects,
  holdObjects,
  noteIn,
  removeDroppedObjects,
  storeUntilNamed,
  takeBackNotes,
} from '../infra/dropped-objects.js';
import type { ObjectStore, StoredObject } from '../infra/objects.js';
import type { Dataset, Prisma } from '../infra/prisma/client.js';
import { checkClasses, countClasses } from './check-classes.js';
import { uploadedFiles } from './complete-dataset.js';
import { openRecords } from './open-records.js';
import { collectProblems, type Problems } from './problems.js';
import { openSpool, spoolUploads, type Spool } from './spool-uploads.js';
import { chooseFiles, missingFiles, uploadPrefix } from './upload-files.js';
import { decodedBytes, writeDecoded, type ChannelStatistics } from './write-decoded.js';

export interface ValidationDeps {
  readonly database: Database;
  readonly objects: ObjectStore;
  readonly dataDir: string;
  /** Bytes that a data set may have unpacked. */
  readonly maxBytes: number;
  /** Width times height of one image. */
  readonly maxPixels: number;
}

/** A data set whose validation takes the whole process with it this often is given up. */
const MAX_ATTEMPTS = 5;
/** Who removes the object at this moment may take as long to get its answer. */
const NAMING = { timeout: 60_000, maxWait: 60_000 };
/** Larger than any image that a network here takes. */
const MAX_SIDE = 4_096;

/**
 * Reads every record of a data set that is VALIDATING and makes it READY, with its decoded object, or INVALID, with
 * what is wrong. May be broken off at any moment, repeated, and run twice at once: the row changes by compare-and-set,
 * and the object goes by its hash. For any other data set it only removes what was uploaded.
 * @throws where the database, the store or the disk fails, or `signal` aborts: nothing is decided then
 */
export async function validateDataset(deps: ValidationDeps, datasetId: string, signal: AbortSignal): Promise<void> {
  const { database, objects } = deps;
  const dataset = await database.dataset.findUnique({ where: { id: datasetId } });
  if (dataset?.status === 'AWAITING_UPLOAD') return;
  if (dataset?.status === 'VALIDATING') await decide(deps, dataset, signal);
  await objects.removeUploads(uploadPrefix(datasetId));
}

async function decide(deps: ValidationDeps, dataset: Dataset, signal: AbortSignal): Promise<void> {
  const { id } = dataset;
  if (dataset.attempts >= MAX_ATTEMPTS) {
    await markInvalid(deps.database, id, [`its validation ended the process that read it, ${MAX_ATTEMPTS} times`]);
    return;
  }
  await deps.database.dataset.updateMany({ where: { id }, data: { attempts: { increment: 1 } } });
  const spool = await openSpool(deps.dataDir, id);
  try {
    await inspect(deps, dataset, spool, signal);
  } catch (error) {
    // Only an attempt that never came back counts.
    await deps.database.dataset
      .updateMany({ where: { id }, data: { attempts: { decrement: 1 } } })
      .catch(() => undefined);
    throw error;
  } finally {
    await spool.close();
  }
}

async function inspect(deps: ValidationDeps, dataset: Dataset, spool: Spool, signal: AbortSignal): Promise<void> {
  const problems = collectProblems();
  const records = await readUploads(deps, dataset, spool, problems, signal);
  const file = path.join(spool.folder, 'decoded.safetensors');
  if (records) checkRecords(records, deps.maxBytes, problems);
  // Decoding finds the images that are none, so it is done although labels may be wrong already.
  const isBounded = records !== null && decodedBytes(records) <= deps.maxBytes;
  const statistics = isBounded ? await writeDecoded(file, records, signal) : null;
  if (problems.count() > 0) await markInvalid(deps.database, dataset.id, problems.list());
  else await publish(deps, dataset.id, file, records!, statistics!);
}

async function readUploads(
  { objects, maxBytes, maxPixels }: ValidationDeps,
  dataset: Dataset,
  spool: Spool,
  { report }: Problems,
  signal: AbortSignal,
): Promise<Records | null> {
  const uploaded = await uploadedFiles(objects, dataset);
  const chosen = chooseFiles(dataset.format, uploaded);
  if (!chosen) report(`not uploaded: ${missingFiles(dataset.format, uploaded)}`);
  const files = chosen && (await spoolUploads({ objects, maxBytes, report, signal }, spool, dataset.id, chosen));
  if (!files) return null;
  const classNames = dataset.classNames.length > 0 ? dataset.classNames : null;
  return openRecords(dataset.format, files, { classNames, maxBytes, maxPixels, report, signal });
}

function checkRecords(records: Records, maxBytes: number, { report }: Problems): void {
  checkClasses(records, report);
  const { height, width } = records.shape;
  if (height > MAX_SIDE || width > MAX_SIDE)
    report(`images of ${height} x ${width} pixels, more than ${MAX_SIDE} a side`);
  if (decodedBytes(records) > maxBytes)
    report(`decoded it would take ${decodedBytes(records)} bytes, more than ${maxBytes}`);
}

async function markInvalid(database: Database, id: string, problems: string[]): Promise<void> {
  await database.dataset.updateMany({ where: { id, status: 'VALIDATING' }, data: { status: 'INVALID', problems } });
}

/** A note of the object, the object, then the row: what breaks off in between is found again by the note. */
async function publish(
  deps: ValidationDeps,
  id: string,
  file: string,
  records: Records,
  statistics: ChannelStatistics,
) {
  const { database, objects } = deps;
  const sha256 = await storeUntilNamed(async () => {
    const object = await objects.putFile(file, noteIn(database));
    const ready = { status: 'READY' as const, problems: [], ...describe(object, records, statistics) };
    await database.$transaction((transaction) => name(deps, transaction, id, ready), NAMING);
    return object.sha256;
  });
  // Where the row was deleted meanwhile, or made READY by another.
  await removeDroppedObjects(deps, [sha256]);
}

async function name(
  { objects }: ValidationDeps,
  transaction: Transaction,
  id: string,
  ready: { readonly sha256: string } & Prisma.DatasetUpdateManyMutationInput,
): Promise<void> {
  await holdObjects(transaction, objects, [ready.sha256]);
  const { count } = await transaction.dataset.updateMany({ where: { id, status: 'VALIDATING' }, data: ready });
  if (count === 1) await takeBackNotes(transaction, [ready.sha256]);
  else await dropObjects(transaction, [ready.sha256]);
}

function describe(
  { sha256, bytes }: StoredObject,
  { shape, classNames, train, test }: Records,
  { mean, std }: ChannelStatistics,
) {
  return {
    sha256,
    bytes: BigInt(bytes),
    height: shape.height,
    width: shape.width,
    channels: shape.channels,
    classNames: [...classNames],
    trainSize: train.labels.length,
    testSize: test.labels.length,
    trainCounts: countClasses(train.labels, classNames.length),
    testCounts: countClasses(test.labels, classNames.length),
    channelMean: mean,
    channelStd: std,
  };
}
