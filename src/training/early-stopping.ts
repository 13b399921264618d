import type { EarlyStoppingPlan, Metric } from '../domain/plan.js';
import { assertExhaustive } from '../errors.js';

/** Early stopping as Keras's `EarlyStopping` counts, without its return to the best epoch's weights. */

/** What it remembers from epoch to epoch. */
export interface StoppingState {
  /** Of the metric, so far. */
  readonly best: number;
  /** Epochs since then. */
  readonly epochsWithout: number;
}

type Measured = {
  readonly trainLoss: number;
  readonly trainAccuracy: number;
  readonly validationLoss: number;
  readonly validationAccuracy: number;
};

/** The state after one more epoch. */
export function observeEpoch(
  { metric, minDelta }: EarlyStoppingPlan,
  before: StoppingState | undefined,
  measured: Measured,
): StoppingState {
  const value = valueOf(metric, measured);
  if (before === undefined) return { best: value, epochsWithout: 0 };
  const gain = metric === 'TRAIN_LOSS' || metric === 'VALIDATION_LOSS' ? before.best - value : value - before.best;
  return gain > minDelta ? { best: value, epochsWithout: 0 } : { ...before, epochsWithout: before.epochsWithout + 1 };
}

export function isStopped(plan: EarlyStoppingPlan | undefined, state: StoppingState | undefined): boolean {
  return plan !== undefined && state !== undefined && state.epochsWithout >= plan.patience;
}

/** In words, after `epoch` epochs. */
export function describeStop({ metric, minDelta }: EarlyStoppingPlan, state: StoppingState, epoch: number): string {
  const { best, epochsWithout } = state;
  const margin = minDelta > 0 ? ` by more than ${minDelta}` : '';
  return `${metric} did not improve on epoch ${epoch - epochsWithout}'s ${best.toFixed(4)}${margin} until epoch ${epoch}`;
}

function valueOf(metric: Metric, measured: Measured): number {
  switch (metric) {
    case 'TRAIN_LOSS':
      return measured.trainLoss;
    case 'TRAIN_ACCURACY':
      return measured.trainAccuracy;
    case 'VALIDATION_LOSS':
      return measured.validationLoss;
    case 'VALIDATION_ACCURACY':
      return measured.validationAccuracy;
    default:
      return assertExhaustive(metric);
  }
}
