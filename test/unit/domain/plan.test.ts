import { describe, expect, it } from 'vitest';
import { normalisePlan, withLaterFields, type PlanInput } from '../../../src/domain/plan.js';

describe('a plan', () => {
  it("takes the contract's defaults for whatever is left out or null", () => {
    const defaults = {
      epochs: 10,
      batchSize: 128,
      optimizer: {
        kind: 'SGD', learningRate: 0.1, momentum: 0.9, nesterov: true, weightDecay: 5e-4, beta1: 0.9, beta2: 0.999, epsilon: 1e-8,
      },
      schedule: { kind: 'COSINE', warmupEpochs: 0, milestones: [], gamma: 0.1, finalLearningRate: 0 },
      augmentation: {
        cropPadding: 0, horizontalFlip: false, randomErasing: 0, randomResizedCrop: false, mixup: 0, cutmix: 0,
      },
      labelSmoothing: 0,
      validationFraction: 0,
      engine: 'AUTO',
      precision: 'AUTO',
      seed: 0,
    }; // prettier-ignore
    expect(normalisePlan({})).toEqual(defaults);
    expect(
      normalisePlan({ epochs: null, optimizer: { momentum: null }, schedule: null, augmentation: {}, seed: null }),
    ).toEqual(defaults);
    expect(
      normalisePlan({ optimizer: { clipNorm: null }, emaDecay: null, earlyStopping: null, validationFraction: null }),
    ).toEqual(defaults);
    expect(normalisePlan({ earlyStopping: {} }).earlyStopping).toEqual({
      metric: 'VALIDATION_LOSS',
      patience: 3,
      minDelta: 0,
    });
  });

  it('is not changed by being normalised again', () => {
    const plan = normalisePlan({
      epochs: 3,
      schedule: { kind: 'STEP', milestones: [1, 2.5] },
      optimizer: { momentum: 0, clipNorm: 1 },
      augmentation: { cropPadding: 4, horizontalFlip: true, randomErasing: 0.5, mixup: 0.2, cutmix: 1 },
      emaDecay: 0.999,
      earlyStopping: { metric: 'TRAIN_ACCURACY', patience: 1, minDelta: 0.01 },
      validationFraction: 0.1,
    });
    expect(normalisePlan(plan)).toEqual(plan);
    expect(withLaterFields(plan)).toEqual(plan);
  });

  it('from before there were some fields compares with one from today that has them off', () => {
    const plan = normalisePlan({ augmentation: { cropPadding: 2 } });
    const { validationFraction, augmentation, ...rest } = plan;
    expect(validationFraction).toBe(0);
    const { cropPadding, horizontalFlip } = augmentation;
    expect(withLaterFields({ ...rest, augmentation: { cropPadding, horizontalFlip } })).toEqual(plan);
  });

  const refused: [field: string, input: PlanInput][] = [
    ...[0, -1, 1.5, NaN, Infinity, 10_001].map((epochs) => ['input.epochs', { epochs }] as [string, PlanInput]),
    ...[0, -1, 65_537, NaN].map((batchSize) => ['input.batchSize', { batchSize }] as [string, PlanInput]),
    ...[0, -0.1, NaN, Infinity].map(
      (learningRate) => ['input.optimizer.learningRate', { optimizer: { learningRate } }] as [string, PlanInput],
    ),
    ...[-0.1, 1, NaN].map(
      (momentum) => ['input.optimizer.momentum', { optimizer: { momentum } }] as [string, PlanInput],
    ),
    ['input.optimizer.weightDecay', { optimizer: { weightDecay: -1 } }],
    ['input.optimizer.beta1', { optimizer: { beta1: 1 } }],
    ['input.optimizer.beta2', { optimizer: { beta2: -0.5 } }],
    ['input.optimizer.epsilon', { optimizer: { epsilon: 0 } }],
    ['input.optimizer.kind', { optimizer: { kind: 'LION' as 'SGD' } }],
    ['input.schedule.warmupEpochs', { epochs: 3, schedule: { warmupEpochs: 3 } }],
    ['input.schedule.warmupEpochs', { schedule: { warmupEpochs: -1 } }],
    ['input.schedule.milestones', { schedule: { kind: 'STEP' } }],
    ['input.schedule.milestones', { schedule: { kind: 'STEP', milestones: [3, 2] } }],
    ['input.schedule.milestones', { schedule: { kind: 'STEP', milestones: [0, 2] } }],
    ['input.schedule.milestones', { schedule: { kind: 'STEP', milestones: [NaN] } }],
    ['input.schedule.milestones', { schedule: { kind: 'COSINE', milestones: [1] } }],
    ['input.schedule.gamma', { schedule: { gamma: 0 } }],
    ['input.schedule.finalLearningRate', { schedule: { finalLearningRate: -1 } }],
    ['input.augmentation.cropPadding', { augmentation: { cropPadding: -1 } }],
    ['input.augmentation.cropPadding', { augmentation: { cropPadding: 0.5 } }],
    ['input.augmentation.randomErasing', { augmentation: { randomErasing: 1.1 } }],
    ['input.augmentation.randomErasing', { augmentation: { randomErasing: -0.1 } }],
    ['input.augmentation.randomResizedCrop', { augmentation: { randomResizedCrop: true, cropPadding: 4 } }],
    ['input.augmentation.mixup', { augmentation: { mixup: -1 } }],
    ['input.augmentation.mixup', { augmentation: { mixup: Infinity } }],
    ['input.augmentation.cutmix', { augmentation: { cutmix: NaN } }],
    ['input.optimizer.clipNorm', { optimizer: { clipNorm: 0 } }],
    ['input.optimizer.clipNorm', { optimizer: { clipNorm: Infinity } }],
    ...[0, 1, -0.5, NaN].map((emaDecay) => ['input.emaDecay', { emaDecay }] as [string, PlanInput]),
    ['input.earlyStopping.metric', { earlyStopping: { metric: 'LOSS' as 'TRAIN_LOSS' } }],
    ['input.earlyStopping.patience', { earlyStopping: { patience: 0 } }],
    ['input.earlyStopping.patience', { earlyStopping: { patience: 1.5 } }],
    ['input.earlyStopping.minDelta', { earlyStopping: { minDelta: -1 } }],
    ['input.validationFraction', { validationFraction: 1 }],
    ['input.validationFraction', { validationFraction: -0.1 }],
    ['input.labelSmoothing', { labelSmoothing: 1 }],
    ['input.labelSmoothing', { labelSmoothing: NaN }],
    ['input.seed', { seed: 0.5 }],
    ['input.seed', { seed: 2 ** 31 }],
    ['input.precision', { precision: 'FLOAT64' as 'FLOAT32' }],
  ];
  it.each(refused)('is refused by the field %s: %j', (field, input) => {
    expect(() => normalisePlan(input)).toThrow(expect.objectContaining({ code: 'BAD_USER_INPUT', field }));
  });

  it('names its fields under the prefix that it is given', () => {
    expect(() => normalisePlan({ epochs: 0 }, 'input.base')).toThrow(
      expect.objectContaining({ field: 'input.base.epochs' }),
    );
  });
});
