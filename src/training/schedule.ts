import { assertExhaustive } from '../errors.js';
import type { SchedulePlan } from '../domain/plan.js';
import type { Horizon } from '../domain/split.js';

/**
 * L. Smith and N. Topin, "Super-convergence", 2017, as torch.optim.lr_scheduler.OneCycleLR has it with cosine
 * annealing: from peak / 25 up to the peak over 0.3 of the run, then down to peak / 25 / 10,000. Momentum is not
 * cycled.
 */
const ONE_CYCLE = { rise: 0.3, startDivisor: 25, endDivisor: 10_000 } as const;

/**
 * The learning rate that step `step` (0-based) is taken with. `peak` is the optimizer's `learningRate`.
 *
 * The first `warmupEpochs` rise linearly, the last of their steps with the full rate; the rest follows the kind: COSINE
 * (torch's CosineAnnealingLR) down to `finalLearningRate`, STEP (MultiStepLR) times `gamma` at each milestone. For
 * ONE_CYCLE, `warmupEpochs` takes the place of the rise's 0.3 of the run where it is above 0, and `finalLearningRate`
 * the place of the end where it is above 0.
 */
export function learningRateAt(step: number, peak: number, plan: SchedulePlan, horizon: Horizon): number {
  const warmupSteps = Math.round(plan.warmupEpochs * horizon.stepsPerEpoch);
  if (plan.kind === 'ONE_CYCLE') return oneCycle(step, peak, plan, warmupSteps, horizon.totalSteps);
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  switch (plan.kind) {
    case 'CONSTANT':
      return peak;
    case 'STEP':
      return plan.milestones.reduce(
        (rate, epoch) => (step >= Math.round(epoch * horizon.stepsPerEpoch) ? rate * plan.gamma : rate),
        peak,
      );
    case 'COSINE':
      return anneal(peak, plan.finalLearningRate, (step - warmupSteps) / (horizon.totalSteps - warmupSteps));
    default:
      return assertExhaustive(plan.kind);
  }
}

function oneCycle(step: number, peak: number, plan: SchedulePlan, warmupSteps: number, totalSteps: number): number {
  const start = peak / ONE_CYCLE.startDivisor;
  const end = plan.finalLearningRate > 0 ? plan.finalLearningRate : start / ONE_CYCLE.endDivisor;
  // torch counts both phases between steps, hence the ones.
  const top = (warmupSteps > 0 ? warmupSteps : ONE_CYCLE.rise * totalSteps) - 1;
  const last = totalSteps - 1;
  if (step <= top) return top > 0 ? anneal(start, peak, step / top) : peak;
  return last > top ? anneal(peak, end, (step - top) / (last - top)) : end;
}

/** From `start` (progress 0) to `end` (progress 1) along half a cosine. */
function anneal(start: number, end: number, progress: number): number {
  return end + ((start - end) / 2) * (1 + Math.cos(Math.PI * progress));
}
