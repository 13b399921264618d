import { readFileSync, writeFileSync } from 'node:fs';

/**
 * A process is named by its pid and the moment it started (clock ticks since boot, field 22 of /proc/PID/stat):
 * pids alone are handed out again, most of all in containers.
 */
interface Identity {
  readonly pid: number;
  readonly startedAtTicks: string;
}

/** @returns null when no such process runs */
function identify(pid: number): Identity | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The second field is the program's name in brackets, which may itself hold spaces and brackets.
    const [state, ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return state === 'Z' ? null : { pid, startedAtTicks: rest[18] ?? '' };
  } catch {
    return null;
  }
}

/** Writes down that process `pid` owns what `file` stands for. */
export function recordOwner(file: string, pid: number): void {
  writeFileSync(file, JSON.stringify(identify(pid)), { mode: 0o600 });
}

/** @returns the pid written in `file` if that very process still runs, else null */
export function livingOwner(file: string): number | null {
  try {
    return livingOwnerIn(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

/** As `livingOwner`, of what was read in such a file. */
export function livingOwnerIn(text: string): number | null {
  try {
    const owner = JSON.parse(text) as Identity | null;
    if (owner === null) return null;
    return identify(owner.pid)?.startedAtTicks === owner.startedAtTicks ? owner.pid : null;
  } catch {
    return null;
  }
}
