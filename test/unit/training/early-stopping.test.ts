import { describe, expect, it } from 'vitest';
import type { EarlyStoppingPlan, Metric } from '../../../src/domain/plan.js';
import { isStopped, observeEpoch, type StoppingState } from '../../../src/training/early-stopping.js';

/** The 1-based epoch after which it stops, if it does. */
function stopsAfter(plan: EarlyStoppingPlan, values: readonly number[]): number | undefined {
  let state: StoppingState | undefined;
  for (const [index, value] of values.entries()) {
    const others = { trainLoss: 1 / (index + 1), trainAccuracy: index, validationLoss: -index, validationAccuracy: index };
    state = observeEpoch(plan, state, { ...others, [FIELD[plan.metric]]: value });
    if (isStopped(plan, state)) return index + 1;
  }
  return undefined;
}

const FIELD = {
  TRAIN_LOSS: 'trainLoss', TRAIN_ACCURACY: 'trainAccuracy',
  VALIDATION_LOSS: 'validationLoss', VALIDATION_ACCURACY: 'validationAccuracy',
} as const satisfies Record<Metric, string>; // prettier-ignore

describe('early stopping', () => {
  it.each(['TRAIN_LOSS', 'VALIDATION_LOSS'] as const)('of a %s waits for a lower one', (metric) => {
    const plan = { metric, patience: 2, minDelta: 0 };
    expect(stopsAfter(plan, [3, 2, 1, 0.5])).toBeUndefined();
    expect(stopsAfter(plan, [3, 2, 2, 2, 1])).toBe(4);
    expect(stopsAfter(plan, [3, 4, 2.9, 3, 2.8, 3, 3])).toBe(7);
  });

  it.each(['TRAIN_ACCURACY', 'VALIDATION_ACCURACY'] as const)('of a %s waits for a higher one', (metric) => {
    expect(stopsAfter({ metric, patience: 1, minDelta: 0 }, [0.1, 0.2, 0.3])).toBeUndefined();
    expect(stopsAfter({ metric, patience: 1, minDelta: 0 }, [0.1, 0.2, 0.2, 0.3])).toBe(3);
  });

  it('counts as better what is better by more than minDelta', () => {
    const plan = { metric: 'VALIDATION_LOSS', patience: 2, minDelta: 0.5 } as const;
    expect(stopsAfter(plan, [4, 3.5, 3.5, 1])).toBe(3);
    expect(stopsAfter(plan, [4, 3.5, 3.5, 1].map((value) => 2 * value))).toBeUndefined();
  });

  it('without a plan for it never stops', () => {
    expect(isStopped(undefined, { best: 0, epochsWithout: 1e9 })).toBe(false);
  });
});
