import { createHash, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { conflict } from '../errors.js';
import { livingOwner, livingOwnerIn, recordOwner } from './process-identity.js';

/**
 * Makes this process the only one that runs servers on `dataDir`, until it ends or calls the function returned.
 * A lock left by a process that is gone does not count.
 * @throws ResidualError CONFLICT
 */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = path.join(dataDir, 'lock');
  const mine = `${file}.${randomUUID()}`;
  recordOwner(mine, process.pid);
  try {
    const owner = take(file, mine);
    if (owner !== null)
      throw conflict(`${dataDir} is in use by process ${owner}; stop it, or set RESIDUAL_DATA_DIR to another folder`);
  } finally {
    rmSync(mine, { force: true });
  }
  return () => {
    if (livingOwner(file) === process.pid) rmSync(file);
  };
}

/**
 * Gives `mine`, written before, the name `file` as well: a lock is never seen without its owner.
 * @returns null, or the living process that was first
 */
function take(file: string, mine: string): number | null {
  for (;;) {
    if (linked(mine, file)) return null;
    const found = textOf(file);
    // Otherwise its owner let go of it just now.
    const owner = found === null ? null : (livingOwnerIn(found) ?? removeStale(file, found, mine));
    if (owner !== null) return owner;
  }
}

/**
 * Whoever found the same stale lock a moment earlier may have put its own there since. The right to remove this very
 * one is therefore a lock too: while we hold it, what we see there is what we remove.
 * @returns null, or the living process that is removing it
 */
function removeStale(file: string, stale: string, mine: string): number | null {
  const right = `${file}.${createHash('sha256').update(stale).digest('hex').slice(0, 16)}`;
  const rival = take(right, mine);
  if (rival !== null) return rival;
  if (textOf(file) === stale) rmSync(file);
  rmSync(right);
  return null;
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function textOf(file: string): string | null {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
