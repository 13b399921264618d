import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { conflict } from '../errors.js';
import { livingOwner, recordOwner } from './process-identity.js';

/**
 * Makes this process the only one that runs servers on `dataDir`, until it ends or calls the function returned.
 * A lock left by a process that is gone does not count.
 * @throws ResidualError CONFLICT
 */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = path.join(dataDir, 'lock');
  const owner = livingOwner(file);
  if (owner !== null)
    throw conflict(`${dataDir} is in use by process ${owner}; stop it, or set RESIDUAL_DATA_DIR to another folder`);
  rmSync(file, { force: true });
  recordOwner(file, process.pid, 'wx');
  return () => rmSync(file, { force: true });
}
