import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { OpenThings } from '../../../src/infra/close-on-signal.js';
import { every } from '../../../src/infra/every.js';

/** Keeps what it is told. */
function listener() {
  const told: unknown[] = [];
  const keep = (about: unknown) => void told.push(about);
  return { told, error: keep, warn: keep };
}

describe('closing', () => {
  it('closes what was opened last first, one after the other, each even if the one before failed', async () => {
    const log = listener();
    const open = new OpenThings(log);
    const done: string[] = [];
    open.add('first', () => void done.push('first'));
    open.add('faulty', () => {
      throw new Error('bad');
    });
    open.add('rejects', () => Promise.reject(new Error('worse')));
    open.add('slow', async () => {
      await sleep(20);
      done.push('slow');
    });
    expect(open.closing).toBe(false);
    const closed = open.close();
    expect(open.closing).toBe(true);
    await closed;
    expect(done).toEqual(['slow', 'first']);
    expect(log.told).toMatchObject([{ step: 'rejects' }, { step: 'faulty' }]);
  });
});

describe('what is done again and again', () => {
  it('is done at once, never twice at a time, after a fault too, and not after its end, which waits for it', async () => {
    const log = listener();
    let [begun, ended, atOnce] = [0, 0, 0];
    const end = every(
      5,
      async () => {
        expect(++atOnce).toBe(1);
        begun++;
        await sleep(12);
        atOnce--;
        ended++;
        if (begun === 2) throw new Error('bad');
      },
      log,
    );
    expect(begun).toBe(1);
    await sleep(100);
    await end();
    expect(ended).toBe(begun);
    expect(log.told).toHaveLength(1);
    const before = begun;
    expect(before).toBeGreaterThan(2);
    await sleep(30);
    expect(begun).toBe(before);
  });
});
