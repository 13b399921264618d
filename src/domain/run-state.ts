/**
 * The states of a run, and which may follow which.
 *
 * Every write is compare-and-set: it names the states it may start from (`statesBefore`), and a worker's writes name
 * the attempt as well, so that of two that race one is refused.
 */
export type RunStatus = 'QUEUED' | 'RUNNING' | 'PAUSED' | 'SUCCEEDED' | 'FAILED' | 'CANCELLED';

const NEXT: Readonly<Record<RunStatus, readonly RunStatus[]>> = {
  QUEUED: ['RUNNING', 'PAUSED', 'CANCELLED'],
  // To QUEUED when its worker is shut down; to RUNNING when its worker died and another takes it up.
  RUNNING: ['RUNNING', 'QUEUED', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED'],
  PAUSED: ['QUEUED', 'CANCELLED'],
  SUCCEEDED: [],
  FAILED: [],
  CANCELLED: [],
};

export const RUN_STATUSES = Object.keys(NEXT) as RunStatus[];

export const canFollow = (before: RunStatus, after: RunStatus): boolean => NEXT[before].includes(after);

/** The states that a run may be in when it is set to `status`. */
export const statesBefore = (status: RunStatus): RunStatus[] =>
  RUN_STATUSES.filter((before) => canFollow(before, status));

/** Nothing follows: the run keeps its result or its failure for good. */
export const isFinished = (status: RunStatus): boolean => NEXT[status].length === 0;

/** A worker renews its run's heartbeat this often … */
export const HEARTBEAT_MS = 1_000;
/** … may be dead when it has not for this long: until it is known, what comes after its run waits … */
export const OWNER_SILENT_AFTER_MS = 1_500;
/** … and counts as dead when it has not for this long: then another may take the run up … */
export const OWNER_DEAD_AFTER_MS = 4_000;
/** … which happens within this long. */
export const TAKEN_UP_WITHIN_MS = 15_000;

/** Attempts without a new checkpoint after which a run is taken to kill its workers. */
export const MAX_FRUITLESS_ATTEMPTS = 5;
