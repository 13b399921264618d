import { expect, it } from 'vitest';
import { calibrationImages } from '../../../src/domain/calibration.js';

const countsOf = (labels: Int32Array, chosen: Uint32Array) =>
  [...chosen].reduce<number[]>((counts, index) => ((counts[labels[index]!] = (counts[labels[index]!] ?? 0) + 1), counts), []);

it('takes as many of each class, the same every time, each once and from all over the split', () => {
  const labels = Int32Array.from({ length: 4_000 }, (_, index) => Math.floor(index / 1_000));
  const chosen = calibrationImages(labels, 512);
  expect(countsOf(labels, chosen)).toEqual([128, 128, 128, 128]);
  expect(new Set(chosen).size).toBe(512);
  expect([...chosen]).toEqual([...chosen].sort((a, b) => a - b));
  expect(calibrationImages(labels, 512)).toEqual(chosen);
  expect(chosen.filter((index) => index % 1_000 >= 500).length).toBeGreaterThan(200);
});

it('makes up for a rare class with the others, and takes what there is of a small split', () => {
  const labels = Int32Array.from({ length: 1_000 }, (_, index) => (index < 10 ? 1 : index % 2 === 0 ? 0 : 2));
  expect(countsOf(labels, calibrationImages(labels, 100))).toEqual([45, 10, 45]);
  expect(calibrationImages(Int32Array.of(0, 1, 1), 512)).toEqual(Uint32Array.of(0, 1, 2));
});
