import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { displayProgress, type RunProgress } from '../../../src/cli/training-progress.js';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const RUN: RunProgress = { status: 'RUNNING', epoch: 1, progress: 0.25, etaSeconds: null, steps: [] };

/** A display on a terminal or on none, and what it has written by now. */
function display(isTTY: boolean) {
  const output = Object.assign(new PassThrough(), { isTTY, columns: 100 });
  const shown = displayProgress(4, output as unknown as NodeJS.WriteStream);
  let written = '';
  output.on('data', (chunk) => (written += chunk));
  return { ...shown, written: () => written };
}

describe('without a terminal', () => {
  /** The lines of a run that is told of each 900 ms, once for each status. */
  function linesOf(...statuses: string[]): string[] {
    const { show, written } = display(false);
    for (const status of statuses) {
      show({ ...RUN, status });
      vi.advanceTimersByTime(900);
    }
    return written().trimEnd().split('\n').map((line) => line.trim());
  }

  test.each(['QUEUED', 'RUNNING', 'PAUSED'])('a run that stays %s is a line every five seconds', (status) => {
    // At 0, 5.4 and 10.8 s.
    expect(linesOf(...Array<string>(13).fill(status))).toEqual(Array(3).fill(`25% | ${status.toLowerCase()}`));
  });

  test('another status is a line at once', () => {
    expect(linesOf('QUEUED', 'RUNNING', 'RUNNING', 'PAUSED', 'RUNNING', 'SUCCEEDED')).toEqual(
      ['queued', 'running', 'paused', 'running', 'succeeded'].map((word) => `25% | ${word}`),
    );
  });
});

test('the bar is as long as the progress that the API tells, and full where a run that stopped early succeeded', () => {
  const { show, close, written } = display(true);
  show(RUN);
  expect(written()).toMatch(/ {2}={6}-{18} 25% \| running/);
  vi.advanceTimersByTime(1_000);
  show({ ...RUN, status: 'SUCCEEDED', progress: 1 });
  close();
  expect(written()).toMatch(/ {2}={24} 100% \| succeeded/);
});
