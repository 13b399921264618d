import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, expect, it, onTestFinished } from 'vitest';
import { lockDataDir } from '../../../src/local/lock.js';
import { livingOwner, recordOwner } from '../../../src/local/process-identity.js';
import type { Race } from '../../helpers/lock-racer.js';

let root: string;
beforeAll(() => void (root = mkdtempSync(path.join(tmpdir(), 'residual-lock-'))));
afterAll(() => rmSync(root, { recursive: true }));

/** No process has this number. */
const DEAD = JSON.stringify({ pid: 2 ** 30, startedAtTicks: '1' });

/** A data folder whose owner was killed. */
function abandoned(name: string): string {
  const folder = path.join(root, name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, 'lock'), DEAD);
  return folder;
}

it.each([
  ['that nobody had', (name: string) => path.join(root, name)],
  ['whose owner was killed', abandoned],
])('of three that take a folder %s at one moment exactly one gets it, five hundred times', async (title, folderOf) => {
  const folders = Array.from({ length: 500 }, (_, index) => folderOf(`${title.replaceAll(' ', '-')}-${index}`));
  const race: Race = { folders, rivals: 3, arrived: new SharedArrayBuffer(4 * folders.length) };
  const racers = Array.from({ length: race.rivals }, async () => {
    const thread = new Worker(new URL('../../helpers/lock-racer.ts', import.meta.url), { workerData: race });
    // One that threw is waited for by the others for ever.
    onTestFinished(() => void thread.terminate());
    const [outcomes] = (await once(thread, 'message')) as [string[]];
    return outcomes;
  });
  const outcomes = await Promise.all(racers);
  const rounds = folders.map((_, index) => outcomes.map((outcome) => outcome[index]).sort());
  for (const round of rounds) expect(round).toEqual(['CONFLICT', 'CONFLICT', 'TAKEN']);
  for (const folder of folders) expect(readdirSync(folder)).toEqual(['lock']);
});

it('a start that was killed while it took a folder over is taken over itself', () => {
  const folder = abandoned('taken-over-twice');
  const right = createHash('sha256').update(DEAD).digest('hex').slice(0, 16);
  writeFileSync(path.join(folder, `lock.${right}`), JSON.stringify({ pid: 2 ** 30 + 1, startedAtTicks: '1' }));
  lockDataDir(folder);
  expect(livingOwner(path.join(folder, 'lock'))).toBe(process.pid);
  expect(readdirSync(folder)).toEqual(['lock']);
});

it('a folder that another process has is refused by its number, and left as it is', () => {
  const folder = abandoned('in-use');
  recordOwner(path.join(folder, 'lock'), process.ppid);
  const message = `${folder} is in use by process ${process.ppid}; stop it, or set RESIDUAL_DATA_DIR to another folder`;
  expect(() => lockDataDir(folder)).toThrow(message);
  expect(readdirSync(folder)).toEqual(['lock']);
  expect(livingOwner(path.join(folder, 'lock'))).toBe(process.ppid);
});

it('letting go removes the lock of this process and of no other', () => {
  const folder = path.join(root, 'let-go');
  const file = path.join(folder, 'lock');
  lockDataDir(folder)();
  expect(readdirSync(folder)).toEqual([]);
  const unlock = lockDataDir(folder);
  recordOwner(file, process.ppid);
  const theirs = readFileSync(file, 'utf8');
  unlock();
  expect(readFileSync(file, 'utf8')).toBe(theirs);
});
