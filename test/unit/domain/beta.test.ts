import { expect, it } from 'vitest';
import { drawBeta } from '../../../src/domain/beta.js';
import { CounterRandom, STREAM } from '../../../src/domain/seed.js';

const DRAWS = 40_000;

it.each([0.1, 0.2, 0.4, 1, 2, 50])('Beta(%f, alpha) has its mean, its variance and its fourth moment', (alpha) => {
  const random = new CounterRandom(1, STREAM.mix, 0);
  const values = Array.from({ length: DRAWS }, () => drawBeta(random, alpha));
  expect(values.every((value) => value >= 0 && value <= 1)).toBe(true);
  const moment = (power: number) => values.reduce((sum, value) => sum + (value - 0.5) ** power, 0) / DRAWS;
  const variance = 1 / (4 * (2 * alpha + 1));
  expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(variance / DRAWS));
  expect(moment(2) / variance).toBeCloseTo(1, 1.3);
  // Of a symmetric Beta the kurtosis is 3 - 6 / (2 * alpha + 3).
  expect(moment(4) / moment(2) ** 2).toBeCloseTo(3 - 6 / (2 * alpha + 3), 0.9);
});

it('of any alpha is a number from 0 to 1', () => {
  for (const alpha of [1e-300, 1e-6, 0.001, 1000])
    for (let index = 0; index < 1000; index++) {
      const value = drawBeta(new CounterRandom(2, STREAM.mix, index), alpha);
      if (!(value >= 0 && value <= 1)) throw new Error(`Beta(${alpha}) drew ${value}`);
    }
});

it('with alpha 1 is uniform', () => {
  const random = new CounterRandom(3, STREAM.mix, 0);
  const tenths = new Array<number>(10).fill(0);
  for (let draw = 0; draw < DRAWS; draw++) tenths[Math.min(Math.floor(10 * drawBeta(random, 1)), 9)]!++;
  // Chi-square with 9 degrees of freedom: above 27.9 once in a thousand.
  expect(tenths.reduce((sum, count) => sum + (count - DRAWS / 10) ** 2 / (DRAWS / 10), 0)).toBeLessThan(27.9);
});
