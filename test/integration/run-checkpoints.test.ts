import { afterAll, beforeAll, expect, it } from 'vitest';
import { connectDatabase, type Database } from '../../src/infra/database.js';
import { dropObjects } from '../../src/infra/dropped-objects.js';
import { createObjectStore } from '../../src/infra/objects.js';
import { removeFinishedCheckpoints } from '../../src/runs/checkpoints.js';
import { keysIn } from '../helpers/buckets.js';
import { corruptObject } from '../helpers/corrupt-object.js';
import { connect } from '../helpers/databases.js';
import { bucketOf } from '../helpers/platform-stores.js';
import { startPlatform, type TestPlatform, type WorkerProcess } from '../helpers/platform.js';
import { ask, defineTiny, glanceAtRun, startTiny, until, untilOver, uploadShapes } from '../helpers/training.js';
import { resultOf } from '../helpers/whole-run.js';

let platform: TestPlatform;
let database: Database;
/** That trains. */
let worker: WorkerProcess;

beforeAll(async () => {
  platform = await startPlatform({ workers: ['datasets'], env: { TRAINING_THREADS: '1' } });
  database = connectDatabase(platform.env['DATABASE_URL']!);
  await Promise.all([uploadShapes(platform), defineTiny(platform)]);
  worker = await platform.startWorker('train');
});
afterAll(async () => {
  await database.$disconnect();
  await platform.stop();
});

/** SHA-256 of what lies in the store beside uploads, and of what rows name. */
async function storedAndNamed(): Promise<[string[], string[]]> {
  const stored = (await keysIn(bucketOf(platform))).filter((key) => key.startsWith('sha256/')).map((key) => key.slice(-64));
  const pick = { select: { sha256: true } } as const;
  const rows = [
    ...(await database.artifact.findMany(pick)),
    ...(await database.checkpoint.findMany(pick)),
    ...(await database.dataset.findMany(pick)),
  ];
  return [stored.toSorted(), [...new Set(rows.map(({ sha256 }) => sha256!))].toSorted()];
}

/** Objects go right after the rows: a moment for that. */
async function untilOnlyNamedStored(): Promise<void> {
  await until(async () => {
    const [stored, named] = await storedAndNamed();
    return stored.join() === named.join();
  }, 10_000);
}

async function checkpoints(id: string) {
  const { run } = await ask(platform, 'query ($id: ID!) { run(id: $id) { checkpoints { step epoch bytes sha256 createdAt } } }', { id });
  return run.checkpoints as { step: number; epoch: number; bytes: number; sha256: string }[];
}

async function cancel(id: string): Promise<void> {
  await ask(platform, 'mutation ($id: ID!) { cancelTraining(id: $id) { id } }', { id });
  await untilOver(platform, id);
}

const deleteModel = (name: string) => ask(platform, 'mutation ($name: String!) { deleteModel(name: $name) }', { name });

it.each([
  { keepCheckpoints: 0, kept: [] },
  { keepCheckpoints: 1, kept: [39] },
  { keepCheckpoints: 3, kept: [39, 35, 30] },
  { keepCheckpoints: undefined, kept: [39, 35] },
])('a run that keeps $keepCheckpoints has those of steps $kept after its end, and no object more', async ({ keepCheckpoints, kept }) => {
  const id = await startTiny(platform, { checkpointEverySteps: 5, ...(keepCheckpoints !== undefined && { keepCheckpoints }) });
  expect(await untilOver(platform, id)).toMatchObject({ status: 'SUCCEEDED' });
  await until(async () => (await checkpoints(id)).length <= kept.length, 10_000);
  const found = await checkpoints(id);
  expect(found.map(({ step }) => step)).toEqual(kept);
  for (const { step, epoch, bytes, sha256 } of found) {
    expect(epoch).toBe(Math.floor(step / 13));
    expect(await createObjectStore(bucketOf(platform)).get(sha256)).toHaveLength(bytes);
  }
  await untilOnlyNamedStored();
  expect(await database.droppedObject.count()).toBe(0);
});

it('a cancelled run that keeps none has none left, and one that is going on has one', async () => {
  // It is all but always about to save one, which it has stored when it is cancelled.
  const id = await startTiny(platform, { epochs: 5_000, keepCheckpoints: 0, checkpointEverySteps: 1 });
  await until(async () => (await checkpoints(id)).length === 1, 20_000);
  await cancel(id);
  await until(async () => (await checkpoints(id)).length === 0, 10_000);
  await untilOnlyNamedStored();
});

it.each([
  [2, 'goes on from the one before'],
  [1, 'starts over'],
])('a run that keeps %i and whose newest checkpoint is damaged %s, to the same end', async (keepCheckpoints, how) => {
  const settings = { epochs: 40, seed: 21 };
  const undisturbed = await untilOver(platform, await startTiny(platform, settings));
  const id = await startTiny(platform, { ...settings, checkpointEverySteps: 1, keepCheckpoints });
  await until(async () => (await checkpoints(id)).length === keepCheckpoints, 20_000);
  const control = (what: string) => ask(platform, `mutation ($id: ID!) { ${what}Training(id: $id) { status } }`, { id });
  await control('pause');
  await until(async () => (await glanceAtRun(platform, id)).status === 'PAUSED', 20_000);
  const [newest, before] = await checkpoints(id);
  await corruptObject(bucketOf(platform), newest!.sha256);
  await control('resume');
  const run = await untilOver(platform, id);
  expect(resultOf(run)).toEqual(resultOf(undisturbed));
  const lines: string[] = run.logs.nodes.map(({ message }: { message: string }) => message);
  const [unusable] = lines.filter((line) => line.startsWith(`the checkpoint of step ${newest!.step} cannot be used: `));
  expect(unusable).toBeDefined();
  const goesOn = lines.filter((line) => line.startsWith('goes on from step '));
  expect(goesOn, how).toEqual(before ? [`goes on from step ${before.step} of ${40 * 13}`] : []);
});

it('what was dropped when the object store was away goes at the next look, unless a row names it', async () => {
  const objects = createObjectStore(bucketOf(platform));
  const orphan = await objects.putBytes(Buffer.from('dropped'));
  const { sha256: named } = await database.artifact.findFirstOrThrow();
  await database.$transaction((transaction) => dropObjects(transaction, [orphan.sha256, named]));
  await removeFinishedCheckpoints({ database, objects });
  expect(await objects.has(orphan.sha256)).toBe(false);
  expect(await objects.has(named)).toBe(true);
  expect(await database.droppedObject.count()).toBe(0);
});

it('what a worker had stored and not named when it was killed goes once its time is over, and nothing else does', async () => {
  const objects = createObjectStore(bucketOf(platform));
  const id = await startTiny(platform, { epochs: 5_000, checkpointEverySteps: 5 });
  await until(async () => (await checkpoints(id)).length > 0, 20_000);
  // No row of a checkpoint can be written from here on.
  const holder = await connect(platform.env['DATABASE_URL']!);
  await holder.query('BEGIN; LOCK TABLE "Checkpoint" IN SHARE ROW EXCLUSIVE MODE');
  const awaiting = () => database.droppedObject.findMany({ where: { droppedAt: { gt: new Date() } } });
  await until(async () => {
    const [noted] = await awaiting();
    return noted !== undefined && objects.has(noted.sha256);
  }, 20_000);
  await worker.kill('SIGKILL');
  await holder.query('ROLLBACK');
  const orphan = (await awaiting())[0]!.sha256;

  // Its worker counts as dead at once.
  await database.trainingRun.update({ where: { id }, data: { heartbeatAt: new Date(0) } });
  await cancel(id);
  worker = await platform.startWorker('train');
  await removeFinishedCheckpoints({ database, objects });
  expect(await objects.has(orphan)).toBe(true);
  await database.droppedObject.updateMany({ data: { droppedAt: new Date() } });
  await removeFinishedCheckpoints({ database, objects });
  expect(await objects.has(orphan)).toBe(false);
  await untilOnlyNamedStored();
  expect(await database.droppedObject.count()).toBe(0);
});

it('a version whose objects are removed before it names them has them stored once more', async () => {
  const objects = createObjectStore(bucketOf(platform));
  const settings = { epochs: 1, seed: 12, keepCheckpoints: 0, model: 'again' };
  const artifactsOf = async (id: string): Promise<string[]> =>
    (await untilOver(platform, id)).version.artifacts.map(({ sha256 }: { sha256: string }) => sha256);
  await defineTiny(platform, 'again');
  const known = await artifactsOf(await startTiny(platform, settings));
  await deleteModel('again');
  await untilOnlyNamedStored();

  await defineTiny(platform, 'again');
  const holder = await connect(platform.env['DATABASE_URL']!);
  await holder.query("SELECT pg_advisory_lock(hashtextextended('object:' || $1, 0))", [known[0]]);
  const id = await startTiny(platform, settings);
  const waiting = `SELECT FROM pg_locks JOIN pg_database ON pg_database.oid = database
    WHERE locktype = 'advisory' AND NOT granted AND datname = current_database()`;
  await until(async () => (await holder.query(waiting)).rowCount === 1, 20_000);
  // As whoever removes what was noted long ago.
  for (const sha256 of known) {
    await objects.remove(sha256);
    await database.droppedObject.delete({ where: { sha256 } });
  }
  await holder.query('SELECT pg_advisory_unlock_all()');
  expect(await artifactsOf(id)).toEqual(known);
  await untilOnlyNamedStored();
  expect(await database.droppedObject.count()).toBe(0);
});

it('deleting a model removes the objects of its versions and checkpoints, but none that another names', async () => {
  const settings = { epochs: 1, seed: 11, keepCheckpoints: 2 };
  for (const name of ['twin', 'other']) {
    await defineTiny(platform, name);
    await untilOver(platform, await startTiny(platform, { ...settings, model: name }));
  }
  const shared = await database.artifact.findMany({ where: { version: { model: { name: 'twin' } }, kind: 'SAFETENSORS' } });
  await deleteModel('twin');
  await untilOnlyNamedStored();
  const objects = createObjectStore(bucketOf(platform));
  for (const { sha256 } of shared) expect(await objects.has(sha256)).toBe(true);
  await deleteModel('other');
  await untilOnlyNamedStored();
  for (const { sha256 } of shared) expect(await objects.has(sha256)).toBe(false);
});

it.each([
  ['keepCheckpoints', -1],
  ['keepCheckpoints', 101],
  ['checkpointEverySteps', 0],
])('%s of %i is refused', async (field, value) => {
  const { errors } = await platform.graphql('mutation ($input: StartTrainingInput!) { startTraining(input: $input) { id } }', {
    input: { model: 'tiny', dataset: 'shapes', [field]: value },
  });
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field: `input.${field}` } }]);
});
