import { expect, it } from 'vitest';
import { addLogits, createTally, MOST_MISTAKES, summariseTally } from '../../../src/domain/evaluation.js';
import { CounterRandom, STREAM } from '../../../src/domain/seed.js';

it('counts confusion, precision, recall and F1 as by hand', () => {
  const tally = createTally(3);
  // Labels 0 0 1 1 2; predictions 0 1 1 1 0.
  addLogits(tally, Float32Array.of(2, 1, 0, /**/ 0, 3, 0, /**/ 0, 1, 0), [0, 0, 1]);
  addLogits(tally, Float32Array.of(0, 5, 1, /**/ 4, 0, 1), [1, 2]);
  const { accuracy, confusion, perClass, top5Accuracy } = summariseTally(tally, ['a', 'b', 'c']);
  expect(accuracy).toBeCloseTo(3 / 5);
  expect(confusion).toEqual([
    [1, 1, 0],
    [0, 2, 0],
    [1, 0, 0],
  ]);
  expect(perClass).toEqual([
    { className: 'a', precision: 1 / 2, recall: 1 / 2, f1: 1 / 2, support: 2 },
    { className: 'b', precision: 2 / 3, recall: 1, f1: expect.closeTo(4 / 5), support: 2 },
    { className: 'c', precision: 0, recall: 0, f1: 0, support: 1 },
  ]);
  expect(top5Accuracy).toBeNull();
});

it('means the cross-entropy of the softmax, without overflow', () => {
  const tally = createTally(2);
  addLogits(tally, Float32Array.of(0, 0, /**/ 1000, 0, /**/ 0, 1000), [1, 0, 0]);
  expect(summariseTally(tally, ['a', 'b']).loss).toBeCloseTo((Math.log(2) + 0 + 1000) / 3, 6);
});

it('counts a label among the five largest logits, equal ones by index', () => {
  const tally = createTally(7);
  addLogits(tally, Float32Array.of(7, 6, 5, 4, 3, 2, 1, /**/ 7, 6, 5, 4, 3, 2, 1, /**/ 0, 0, 0, 0, 0, 0, 0), [4, 5, 5]);
  expect(summariseTally(tally, [...'abcdefg']).top5Accuracy).toBeCloseTo(1 / 3);
});

it('keeps the most confident mistakes, equal ones in the order of the images, whatever the batches', () => {
  const random = new CounterRandom(3, STREAM.sample, 0);
  const [classes, images] = [7, 400];
  // Few different logits, so that many mistakes are equally confident.
  const logits = Float32Array.from({ length: images * classes }, () => random.integer(4));
  const labels = Array.from({ length: images }, () => random.integer(classes));
  const sorted = labels
    .map((label, index) => {
      const row = [...logits.subarray(index * classes, (index + 1) * classes)];
      const predicted = row.indexOf(Math.max(...row));
      return { index, label, predicted, probability: softmax(row)[predicted]! };
    })
    .filter(({ label, predicted }) => label !== predicted)
    .sort((a, b) => b.probability - a.probability || a.index - b.index);
  expect(sorted.length).toBeGreaterThan(MOST_MISTAKES);
  for (const batch of [1, 32, images]) {
    const tally = createTally(classes);
    for (let at = 0; at < images; at += batch)
      addLogits(tally, logits.subarray(at * classes, (at + batch) * classes), labels.slice(at, at + batch));
    const { mistakes } = summariseTally(tally, [...'abcdefg']);
    expect(mistakes).toEqual(sorted.slice(0, MOST_MISTAKES));
  }
});

it('has no mistakes to tell of where there are none', () => {
  const tally = createTally(2);
  addLogits(tally, Float32Array.of(1, 0, /**/ 0, 1), [0, 1]);
  expect(summariseTally(tally, ['a', 'b']).mistakes).toEqual([]);
});

function softmax(row: readonly number[]): number[] {
  const powers = row.map((logit) => Math.exp(logit - Math.max(...row)));
  const sum = powers.reduce((total, power) => total + power, 0);
  return powers.map((power) => power / sum);
}
