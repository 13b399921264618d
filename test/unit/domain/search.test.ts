import { describe, expect, it } from 'vitest';
import { gridTrials, randomTrials, spaceSize } from '../../../src/domain/search.js';
import type { RangeParameter, SearchParameter } from '../../../src/domain/search-space.js';

const list = (path: string, ...values: (string | number)[]) => ({ path, values });
const range = (more: Partial<RangeParameter> = {}): RangeParameter =>
  ({ path: 'optimizer.learningRate', min: 1e-4, max: 1, log: true, whole: false, ...more });
const valuesOf = (parameter: SearchParameter, trials: number, seed = 1) =>
  randomTrials([parameter], trials, seed).map((trial) => trial[parameter.path] as number);

describe('gridTrials', () => {
  it('has every combination once, the last parameter changing fastest', () => {
    expect(gridTrials([list('batchSize', 32, 64), list('optimizer.kind', 'SGD', 'ADAM', 'ADAMW')])).toEqual([
      { batchSize: 32, 'optimizer.kind': 'SGD' },
      { batchSize: 32, 'optimizer.kind': 'ADAM' },
      { batchSize: 32, 'optimizer.kind': 'ADAMW' },
      { batchSize: 64, 'optimizer.kind': 'SGD' },
      { batchSize: 64, 'optimizer.kind': 'ADAM' },
      { batchSize: 64, 'optimizer.kind': 'ADAMW' },
    ]);
  });

  it('is as large as the product says', () => {
    const parameters = [list('seed', 1, 2, 3), list('batchSize', 1, 2), list('epochs', 1, 2, 3, 4)];
    expect(gridTrials(parameters)).toHaveLength(spaceSize(parameters));
    expect(spaceSize([...parameters, range()])).toBe(Infinity);
    expect(spaceSize([range({ min: 1, max: 8, whole: true })])).toBe(8);
  });
});

describe('randomTrials', () => {
  it('draws the same for the same seed, something else for another, and more trials begin with the fewer', () => {
    const parameters = [range(), list('batchSize', 32, 64, 128)];
    const trials = randomTrials(parameters, 20, 7);
    expect(randomTrials(parameters, 20, 7)).toEqual(trials);
    expect(randomTrials(parameters, 50, 7).slice(0, 20)).toEqual(trials);
    expect(randomTrials(parameters, 20, 8)).not.toEqual(trials);
    expect(randomTrials(parameters, 20, -8)).not.toEqual(trials);
  });

  it('by orders of magnitude, fills each of them alike', () => {
    const values = valuesOf(range(), 4_000);
    expect(values.every((value) => value >= 1e-4 && value <= 1)).toBe(true);
    const decades = [0, 0, 0, 0];
    for (const value of values) decades[Math.min(3, Math.floor(Math.log10(value) + 4))]!++;
    // 1,000 each, give or take five standard deviations.
    for (const count of decades) expect(Math.abs(count - 1_000)).toBeLessThan(137);
  });

  it('evenly, fills the range evenly', () => {
    const values = valuesOf(range({ path: 'optimizer.momentum', min: 0.5, max: 0.9, log: false }), 4_000);
    const quarters = [0, 0, 0, 0];
    for (const value of values) quarters[Math.min(3, Math.floor((value - 0.5) / 0.1))]!++;
    for (const count of quarters) expect(Math.abs(count - 1_000)).toBeLessThan(137);
  });

  it('gives a whole-numbered field whole numbers, both ends among them', () => {
    for (const log of [false, true]) {
      const values = valuesOf(range({ path: 'batchSize', min: 8, max: 1_024, whole: true, log }), 400);
      expect(values.every((value) => Number.isInteger(value) && value >= 8 && value <= 1_024)).toBe(true);
      const few = Array.from({ length: 40 }, (_, seed) => valuesOf(range({ path: 'epochs', min: 3, max: 6, whole: true, log }), 2, seed));
      expect([...new Set(few.flat())].toSorted()).toEqual([3, 4, 5, 6]);
    }
  });

  it('draws no trial twice, and no more than there are', () => {
    const parameters = [list('batchSize', 32, 64, 128), list('seed', 1, 2, 3)];
    for (const trials of [5, 8, 9, 100]) {
      const drawn = randomTrials(parameters, trials, 3).map((trial) => JSON.stringify(trial));
      expect(new Set(drawn).size).toBe(Math.min(trials, 9));
      expect(drawn).toHaveLength(Math.min(trials, 9));
    }
    const all = randomTrials(parameters, 9, 3);
    expect(all).not.toEqual(gridTrials(parameters));
    expect(all).toEqual(expect.arrayContaining(gridTrials(parameters)));
  });

  it('takes each item of a list about as often', () => {
    const trials = randomTrials([list('optimizer.kind', 'SGD', 'ADAM', 'ADAMW'), range()], 3_000, 5);
    for (const kind of ['SGD', 'ADAM', 'ADAMW'])
      expect(Math.abs(trials.filter((trial) => trial['optimizer.kind'] === kind).length - 1_000)).toBeLessThan(130);
  });

  it('ends where a range holds fewer numbers than trials', () => {
    const values = valuesOf(range({ min: 0.1, max: 0.1000002, log: false }), 100);
    expect(values.length).toBeLessThan(100);
    expect(values.every((value) => value >= 0.1 && value <= 0.1000002)).toBe(true);
  });
});
