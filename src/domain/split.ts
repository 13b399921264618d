import type { TrainingPlan } from './plan.js';
import { permutation, STREAM } from './seed.js';

/** How TRAIN divides into what trains and what validates, and how many steps that makes. */

/** Of `images` in TRAIN: the nearest whole number to the plan's share, and one at least where there is a share. */
export function validationImages(images: number, fraction = 0): number {
  return fraction > 0 ? Math.max(1, Math.round(images * fraction)) : 0;
}

/** A run's length in steps, which the schedule's epochs are counted in. */
export interface Horizon {
  readonly stepsPerEpoch: number;
  readonly totalSteps: number;
}

/** `images`: in TRAIN. The last batch of an epoch holds what is left. */
export function horizonOf(
  { epochs, batchSize, validationFraction }: Pick<TrainingPlan, 'epochs' | 'batchSize' | 'validationFraction'>,
  images: number,
): Horizon {
  const stepsPerEpoch = Math.ceil((images - validationImages(images, validationFraction)) / batchSize);
  return { stepsPerEpoch, totalSteps: epochs * stepsPerEpoch };
}

export interface TrainSplit {
  /** Indices into TRAIN, ascending. */
  readonly training: Uint32Array;
  readonly validation: Uint32Array;
}

/**
 * Stratified: each class validates by its share of the images, rounded so that the total is `validationImages`
 * (largest remainders, the lower class first among equal ones). Which of a class's images do, (seed, class) decide.
 * @param labels (N) class indices of TRAIN
 */
export function splitTrain(labels: Int32Array, fraction: number | undefined, seed: number): TrainSplit {
  const held = new Uint8Array(labels.length);
  const byClass = groupByClass(labels);
  const counts = heldByClass(
    byClass.map(({ length }) => length),
    validationImages(labels.length, fraction),
  );
  for (const [label, indices] of byClass.entries())
    for (const place of permutation(seed, STREAM.split, label, indices.length).subarray(0, counts[label]))
      held[indices[place]!] = 1;
  const all = Uint32Array.from(labels, (_, index) => index);
  return { training: all.filter((index) => !held[index]), validation: all.filter((index) => held[index]) };
}

function groupByClass(labels: Int32Array): number[][] {
  const groups: number[][] = [];
  labels.forEach((label, index) => {
    while (groups.length <= label) groups.push([]);
    groups[label]!.push(index);
  });
  return groups;
}

function heldByClass(sizes: readonly number[], total: number): number[] {
  const images = sizes.reduce((sum, size) => sum + size, 0);
  // Whole numbers below 2^53, so exact.
  const counts = sizes.map((size) => Math.floor((size * total) / images));
  const remainders = sizes.map((size, label) => ({ label, remainder: (size * total) % images }));
  const left = total - counts.reduce((sum, count) => sum + count, 0);
  remainders.sort((a, b) => b.remainder - a.remainder || a.label - b.label);
  for (const { label } of remainders.slice(0, left)) counts[label]!++;
  return counts;
}
