import { readFile } from 'node:fs/promises';

/** What Linux tells of another process: proc(5). */

export async function residentBytes(pid: number): Promise<number> {
  const [, kilobytes] = /^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))!;
  return Number(kilobytes) * 1024;
}

/** `stat` counts in these. */
const TICK_MS = 10;

/** That all its threads have taken since it started. */
export async function cpuMs(pid: number): Promise<number> {
  // The second field, a name in brackets, may hold anything.
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).replace(/^.*\) /s, '').split(' ');
  const [user, system] = [fields[11], fields[12]];
  return TICK_MS * (Number(user) + Number(system));
}
