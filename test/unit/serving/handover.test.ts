import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ResolvedVersion } from '../../../src/registry/resolve.js';
import { Handover } from '../../../src/serving/handover.js';
import { servedKey } from '../../../src/serving/load-model.js';

beforeEach(() => vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => vi.useRealTimers());

const version = (id: string, modelId = 'cats') => ({ id, modelId }) as ResolvedVersion;
const [one, two] = [version('one'), version('two')];
const immediate = () => new Promise((resolve) => setImmediate(resolve));

/** `one` in memory, and what last answered `cats`. */
function setup({ fit = true } = {}) {
  const ready = new Set([servedKey(one)]);
  const loads: { next: string; succeed: () => void; fail: () => void }[] = [];
  const handover = new Handover({
    isReady: (version) => ready.has(servedKey(version)),
    fitTogether: () => fit,
    warm: (next) =>
      new Promise((resolve, reject) => {
        const succeed = () => {
          ready.add(servedKey(next));
          resolve();
        };
        loads.push({ next: servedKey(next), succeed, fail: () => reject(new Error('corrupt')) });
      }),
  });
  handover.answered('cats', one);
  return { handover, ready, loads };
}

describe('a reference that moves', () => {
  it('means the version before until the new one is ready, which is loaded once', () => {
    const { handover, loads } = setup();
    expect([1, 2, 3].map(() => handover.choose('cats', two))).toEqual([one, one, one]);
    expect(loads.map(({ next }) => next)).toEqual(['two']);
    loads[0]!.succeed();
    expect(handover.choose('cats', two)).toBe(two);
  });

  it('means the new version at once where the one before is not in memory, or both do not fit', () => {
    const gone = setup();
    gone.ready.clear();
    expect(gone.handover.choose('cats', two)).toBe(two);
    expect(setup({ fit: false }).handover.choose('cats', two)).toBe(two);
  });

  it('means the new one at once where that is of another model: the name was given anew', () => {
    const { handover } = setup();
    const other = version('other', 'new cats');
    expect(handover.choose('cats', other)).toBe(other);
    expect(handover.refuse('cats', other)).toBeUndefined();
  });

  it('stays with the version before while the new one fails to load, tried after 1, 2, 4 … 60 s', async () => {
    const { handover, loads } = setup();
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 9; attempt++) {
      expect(handover.choose('cats', two)).toBe(one);
      loads.at(-1)!.fail();
      await immediate();
      let pause = 0;
      for (const count = loads.length; loads.length === count; pause++) {
        vi.advanceTimersByTime(1_000);
        expect(handover.choose('cats', two)).toBe(one);
      }
      pauses.push(pause);
    }
    expect(pauses).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60]);
  });

  it('falls back on the version before where the new one failed in the foreground, though it has to be loaded again', () => {
    const { handover, ready } = setup({ fit: false });
    ready.clear();
    expect(handover.choose('cats', two)).toBe(two);
    expect(handover.refuse('cats', two)).toBe(one);
    expect(handover.choose('cats', two)).toBe(one);
    expect(handover.refuse('cats', one)).toBeUndefined();
  });

  it('is handed over in eight bits apart from float32: each is loaded, and refused, for itself', async () => {
    const { handover, ready, loads } = setup();
    const inEightBits = (version: ResolvedVersion): ResolvedVersion => ({ ...version, int8: true });
    const [oneInt8, twoInt8] = [inEightBits(one), inEightBits(two)];
    ready.add(servedKey(oneInt8));
    handover.answered('cats#int8', oneInt8);
    expect(handover.choose('cats', two)).toBe(one);
    expect(handover.choose('cats#int8', twoInt8)).toBe(oneInt8);
    expect(loads.map(({ next }) => next)).toEqual(['two', 'two#int8']);
    loads[1]!.fail();
    loads[0]!.succeed();
    await immediate();
    expect(handover.choose('cats', two)).toBe(two);
    expect(handover.choose('cats#int8', twoInt8)).toBe(oneInt8);
  });

  it('is watched for as long as it answers from memory and means something', () => {
    const { handover, ready } = setup();
    expect(handover.inMemory).toEqual([['cats', one]]);
    ready.clear();
    expect(handover.inMemory).toEqual([]);
    ready.add(one.id);
    handover.forget('cats');
    expect(handover.inMemory).toEqual([]);
    expect(handover.choose('cats', two)).toBe(two);
  });
});
