import type { AugmentationPlan } from '../domain/plan.js';
import { CounterRandom, STREAM } from '../domain/seed.js';

/** What is done to one image in one epoch. */
export interface Augmentation {
  /** Where the crop starts in the image as it was before padding: from -cropPadding to cropPadding. */
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
}

export const UNCHANGED: Augmentation = { top: 0, left: 0, flip: false };

export const isAugmented = (plan: AugmentationPlan) => plan.cropPadding > 0 || plan.horizontalFlip;

/**
 * Decided by (seed, epoch, index) alone: any worker, resumed or not, in any order, draws the same. Each number has its
 * place in the sequence, so that switching one augmentation on leaves the others as they were.
 * `index`: of the image in its data set.
 */
export function drawAugmentation(plan: AugmentationPlan, seed: number, epoch: number, index: number): Augmentation {
  const random = new CounterRandom(seed, STREAM.augment, epoch, index);
  const range = 2 * plan.cropPadding + 1;
  const top = random.integer(range) - plan.cropPadding;
  const left = random.integer(range) - plan.cropPadding;
  const mirrored = random.uniform() < 0.5;
  return { top, left, flip: plan.horizontalFlip && mirrored };
}
