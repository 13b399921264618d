import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import path from 'node:path';

/** Folders for the files of one piece of work, each with its process's name, so that the dead ones are known. */

/**
 * Whoever makes it removes it.
 * @param root shared with other processes, of other hosts too; made where it is not there
 */
export async function makeScratchFolder(root: string, name = ''): Promise<string> {
  await mkdir(root, { recursive: true });
  return mkdtemp(path.join(root, `${hostname()}.${process.pid}.${name}`));
}

/** Whether one of another host lives nobody can tell, but nothing takes this long. A container made anew is another. */
const ABANDONED_MS = 24 * 3_600_000;

/** Removes what processes that are no more have left behind. For the start of a process. */
export async function removeDeadScratch(root: string): Promise<void> {
  const names = await readdir(root).catch(() => []);
  for (const name of names) {
    const folder = path.join(root, name);
    if (await isDead(name, folder)) await rm(folder, { recursive: true, force: true });
  }
}

async function isDead(name: string, folder: string): Promise<boolean> {
  if (name.startsWith(`${hostname()}.`)) {
    const pid = Number(name.slice(hostname().length + 1).split('.')[0]);
    return pid === process.pid || !isAlive(pid);
  }
  const found = await stat(folder).catch(() => null);
  return found !== null && Date.now() - found.mtimeMs > ABANDONED_MS;
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
