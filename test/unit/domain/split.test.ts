import { describe, expect, it } from 'vitest';
import { horizonOf, splitTrain, validationImages } from '../../../src/domain/split.js';

/** So many images of each class, mixed up. */
function labelsOf(counts: readonly number[]): Int32Array {
  const labels = counts.flatMap((count, label) => Array<number>(count).fill(label));
  return Int32Array.from(labels, (_, index) => labels[(index * 7919) % labels.length]!);
}
const countsOf = (labels: Int32Array, indices: Uint32Array, classes: number) => {
  const counts = Array<number>(classes).fill(0);
  for (const index of indices) counts[labels[index]!]!++;
  return counts;
};

describe('the part of TRAIN that validates', () => {
  it.each([
    [[100, 100, 100], 0.1, [10, 10, 10]],
    [[100, 50, 10], 0.1, [10, 5, 1]],
    [[10, 10, 10], 0.25, [3, 3, 2]],
    [[7, 5, 1], 0.2, [2, 1, 0]],
    [[3, 3, 3], 0.001, [1, 0, 0]],
    [[4, 0, 4], 0.5, [2, 0, 2]],
  ])('has of the classes %j by %f: %j', (sizes, fraction, expected) => {
    const labels = labelsOf(sizes);
    const { training, validation } = splitTrain(labels, fraction, 1);
    expect(countsOf(labels, validation, sizes.length)).toEqual(expected);
    expect(validation.length).toBe(validationImages(labels.length, fraction));
    expect([...training, ...validation].sort((a, b) => a - b)).toEqual([...labels.keys()]);
    for (const part of [training, validation]) expect([...part]).toEqual([...part].sort((a, b) => a - b));
  });

  it('is the same for the same seed, another for another, and none without a share', () => {
    const labels = labelsOf([50, 60, 70]);
    expect(splitTrain(labels, 0.2, 5)).toEqual(splitTrain(labels, 0.2, 5));
    expect(splitTrain(labels, 0.2, 6).validation).not.toEqual(splitTrain(labels, 0.2, 5).validation);
    for (const none of [0, undefined]) expect(splitTrain(labels, none, 5).validation).toHaveLength(0);
    expect(splitTrain(labels, 0, 5).training).toHaveLength(180);
  });

  it('makes epochs shorter', () => {
    expect(horizonOf({ epochs: 3, batchSize: 16 }, 203)).toEqual({ stepsPerEpoch: 13, totalSteps: 39 });
    expect(horizonOf({ epochs: 3, batchSize: 16, validationFraction: 0 }, 203)).toEqual({ stepsPerEpoch: 13, totalSteps: 39 });
    // 203 - 41
    expect(horizonOf({ epochs: 3, batchSize: 16, validationFraction: 0.2 }, 203)).toEqual({ stepsPerEpoch: 11, totalSteps: 33 });
  });
});
