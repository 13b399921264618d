import { describe, expect, it } from 'vitest';
import { canFollow, isFinished, RUN_STATUSES, statesBefore } from '../../../src/domain/run-state.js';

describe('a run', () => {
  it('that is over never changes again', () => {
    for (const status of ['SUCCEEDED', 'FAILED', 'CANCELLED'] as const) {
      expect(isFinished(status)).toBe(true);
      for (const next of RUN_STATUSES) expect(canFollow(status, next), `${status} to ${next}`).toBe(false);
    }
  });

  it('succeeds and fails only out of RUNNING', () => {
    for (const end of ['SUCCEEDED', 'FAILED'] as const) expect(statesBefore(end)).toEqual(['RUNNING']);
  });

  it('can be cancelled in every state but the last ones', () => {
    expect(statesBefore('CANCELLED')).toEqual(RUN_STATUSES.filter((status) => !isFinished(status)));
  });

  it('goes back to the queue out of RUNNING and PAUSED', () => {
    expect(statesBefore('QUEUED')).toEqual(['RUNNING', 'PAUSED']);
  });
});
