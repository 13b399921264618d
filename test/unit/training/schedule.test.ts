import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { SchedulePlan } from '../../../src/domain/plan.js';
import { learningRateAt } from '../../../src/training/schedule.js';

interface Case {
  name: string;
  plan: SchedulePlan;
  learningRate: number;
  stepsPerEpoch: number;
  totalSteps: number;
  rates: number[];
}
const cases = JSON.parse(readFileSync(new URL('schedules.json', import.meta.url), 'utf8')) as Case[];

describe('the learning rate is that of PyTorch at every step', () => {
  it.each(cases)('$name', ({ plan, learningRate, stepsPerEpoch, totalSteps, rates }) => {
    rates.forEach((rate, step) => {
      const own = learningRateAt(step, learningRate, plan, { stepsPerEpoch, totalSteps });
      expect(Math.abs(own - rate), `step ${step}: ${own}, PyTorch ${rate}`).toBeLessThan(1e-9);
    });
  });
});

const plan = (given: Partial<SchedulePlan>): SchedulePlan => ({
  kind: 'COSINE', warmupEpochs: 0, milestones: [], gamma: 0.1, finalLearningRate: 0, ...given,
}); // prettier-ignore

describe('the learning rate', () => {
  it('rises in a straight line over the warm-up and reaches the full rate with its last step', () => {
    const horizon = { stepsPerEpoch: 10, totalSteps: 100 };
    const rates = [0, 4, 9, 10].map((step) => learningRateAt(step, 1, plan({ warmupEpochs: 1 }), horizon));
    expect(rates).toEqual([0.1, 0.5, 1, 1]);
  });

  it.each(['CONSTANT', 'STEP', 'COSINE', 'ONE_CYCLE'] as const)(
    'is finite and at least 0 for %s over one, two and three steps',
    (kind) => {
      for (const totalSteps of [1, 2, 3])
        for (let step = 0; step < totalSteps; step++) {
          const rate = learningRateAt(step, 0.1, plan({ kind, milestones: kind === 'STEP' ? [1] : [] }), {
            stepsPerEpoch: 1,
            totalSteps,
          });
          expect(Number.isFinite(rate) && rate >= 0 && rate <= 0.1, `${rate}`).toBe(true);
        }
    },
  );
});
