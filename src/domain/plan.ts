import { badInput } from '../errors.js';
import { integer, oneOf } from './field-checks.js';

/**
 * A training plan: what `startTraining` was asked for with every default filled in. It is stored with the run and alone
 * decides it. A field that may be absent was added later, or has no value that stands for off: absent is off.
 */
export interface TrainingPlan {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerPlan;
  readonly schedule: SchedulePlan;
  readonly augmentation: AugmentationPlan;
  /** In [0, 1). */
  readonly labelSmoothing: number;
  /** Of the averages of all tensors that are evaluated and published in their place; in (0, 1). */
  readonly emaDecay?: number;
  readonly earlyStopping?: EarlyStoppingPlan;
  /** Share of TRAIN that validates instead of training, in [0, 1); 0: TEST validates. */
  readonly validationFraction?: number;
  readonly engine: 'AUTO' | 'ONEDNN' | 'TFJS';
  readonly precision: 'AUTO' | 'FLOAT32' | 'BFLOAT16';
  readonly seed: number;
  /** Weights of another version to start from; without them they are drawn from `seed`. */
  readonly initialWeights?: InitialWeights;
}

/** A version's weights as they were when the run was started. */
export interface InitialWeights {
  /** `name:3`, for people. */
  readonly reference: string;
  /** Of the safetensors object: what decides the run. */
  readonly sha256: string;
}

/**
 * `weightDecay` acts on tensors of role `weight` only. Semantics are PyTorch's: SGD and Adam add `weightDecay * w` to
 * the gradient, AdamW shrinks the weight by `learningRate * weightDecay`; SGD's momentum buffer starts as the first
 * gradient, without dampening.
 */
export interface OptimizerPlan {
  readonly kind: 'SGD' | 'ADAM' | 'ADAMW';
  readonly learningRate: number;
  readonly momentum: number;
  readonly nesterov: boolean;
  readonly weightDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Largest L2 norm of all gradients together, above which they are scaled down to it. */
  readonly clipNorm?: number;
}

export interface SchedulePlan {
  readonly kind: 'CONSTANT' | 'STEP' | 'COSINE' | 'ONE_CYCLE';
  readonly warmupEpochs: number;
  /** Epochs at which STEP multiplies the rate by `gamma`. */
  readonly milestones: readonly number[];
  readonly gamma: number;
  readonly finalLearningRate: number;
}

export interface AugmentationPlan {
  /** Pixels of zero (after normalisation) on each side before a random crop back to size. */
  readonly cropPadding: number;
  readonly horizontalFlip: boolean;
  /** Probability that a rectangle of the image becomes 0 (after normalisation). */
  readonly randomErasing?: number;
  /** A part of the image, resized to the whole. */
  readonly randomResizedCrop?: boolean;
  /** alpha of the Beta distribution that images and their labels are mixed by, in pairs; 0: off. */
  readonly mixup?: number;
  /** alpha of the Beta distribution of the share that another image's rectangle takes; 0: off. */
  readonly cutmix?: number;
}

/** What is measured once an epoch. */
export const METRICS = ['TRAIN_LOSS', 'TRAIN_ACCURACY', 'VALIDATION_LOSS', 'VALIDATION_ACCURACY'] as const;
export type Metric = (typeof METRICS)[number];

/** Ends the run after `patience` epochs in a row that did not improve the metric's best by more than `minDelta`. */
export interface EarlyStoppingPlan {
  readonly metric: Metric;
  readonly patience: number;
  readonly minDelta: number;
}

/** What `startTraining` gives of a plan: whatever is null or left out takes the contract's default. */
export interface PlanInput {
  readonly epochs?: number | null | undefined;
  readonly batchSize?: number | null | undefined;
  readonly optimizer?: Given<OptimizerPlan>;
  readonly schedule?: Given<SchedulePlan>;
  readonly augmentation?: Given<AugmentationPlan>;
  readonly labelSmoothing?: number | null | undefined;
  readonly emaDecay?: number | null | undefined;
  readonly earlyStopping?: Given<EarlyStoppingPlan>;
  readonly validationFraction?: number | null | undefined;
  readonly engine?: TrainingPlan['engine'] | null | undefined;
  readonly precision?: TrainingPlan['precision'] | null | undefined;
  readonly seed?: number | null | undefined;
}
type Given<T> = { readonly [K in keyof T]?: T[K] | null | undefined } | null | undefined;

export const MAX_EPOCHS = 10_000;
export const MAX_BATCH_SIZE = 65_536;
const MAX_INT = 2 ** 31 - 1;
/** Beyond it every share is a half, as good as. */
const MAX_MIXING_ALPHA = 1000;

/**
 * Fills in every default and refuses what cannot train. Initial weights are the registry's to find.
 * @param prefix what the dotted path of a field at fault starts with.
 * @throws BAD_USER_INPUT
 */
export function normalisePlan(input: PlanInput, prefix = 'input'): Omit<TrainingPlan, 'initialWeights'> {
  const at = (field: string) => `${prefix}.${field}`;
  const epochs = integer(at('epochs'), input.epochs ?? 10, 1, MAX_EPOCHS);
  const { emaDecay, earlyStopping } = input;
  return {
    epochs,
    batchSize: integer(at('batchSize'), input.batchSize ?? 128, 1, MAX_BATCH_SIZE),
    optimizer: normaliseOptimizer(input.optimizer ?? {}, at('optimizer')),
    schedule: normaliseSchedule(input.schedule ?? {}, epochs, at('schedule')),
    augmentation: normaliseAugmentation(input.augmentation ?? {}, at('augmentation')),
    labelSmoothing: number(at('labelSmoothing'), input.labelSmoothing ?? 0, fraction),
    ...(isGiven(emaDecay) && { emaDecay: number(at('emaDecay'), emaDecay, betweenZeroAndOne) }),
    ...(isGiven(earlyStopping) && { earlyStopping: normaliseStopping(earlyStopping, at('earlyStopping')) }),
    validationFraction: number(at('validationFraction'), input.validationFraction ?? 0, fraction),
    engine: oneOf(at('engine'), input.engine ?? 'AUTO', ['AUTO', 'ONEDNN', 'TFJS']),
    precision: oneOf(at('precision'), input.precision ?? 'AUTO', ['AUTO', 'FLOAT32', 'BFLOAT16']),
    seed: integer(at('seed'), input.seed ?? 0, -MAX_INT - 1, MAX_INT),
  };
}

function normaliseOptimizer(input: NonNullable<PlanInput['optimizer']>, prefix: string): OptimizerPlan {
  const at = (field: string) => `${prefix}.${field}`;
  const momentum = number(at('momentum'), input.momentum ?? 0.9, fraction);
  return {
    kind: oneOf(at('kind'), input.kind ?? 'SGD', ['SGD', 'ADAM', 'ADAMW']),
    learningRate: number(at('learningRate'), input.learningRate ?? 0.1, positive),
    momentum,
    // Without momentum there is nothing to look ahead by, and the two are the same.
    nesterov: momentum > 0 && (input.nesterov ?? true),
    weightDecay: number(at('weightDecay'), input.weightDecay ?? 5e-4, notNegative),
    beta1: number(at('beta1'), input.beta1 ?? 0.9, fraction),
    beta2: number(at('beta2'), input.beta2 ?? 0.999, fraction),
    epsilon: number(at('epsilon'), input.epsilon ?? 1e-8, positive),
    ...(isGiven(input.clipNorm) && { clipNorm: number(at('clipNorm'), input.clipNorm, positive) }),
  };
}

function normaliseSchedule(input: NonNullable<PlanInput['schedule']>, epochs: number, prefix: string): SchedulePlan {
  const at = (field: string) => `${prefix}.${field}`;
  const kind = oneOf(at('kind'), input.kind ?? 'COSINE', ['CONSTANT', 'STEP', 'COSINE', 'ONE_CYCLE']);
  return {
    kind,
    warmupEpochs: number(at('warmupEpochs'), input.warmupEpochs ?? 0, {
      holds: (value) => value >= 0 && value < epochs,
      wanted: `at least 0 and less than the ${epochs} epochs`,
    }),
    milestones: milestones(at('milestones'), kind, input.milestones ?? []),
    gamma: number(at('gamma'), input.gamma ?? 0.1, positive),
    finalLearningRate: number(at('finalLearningRate'), input.finalLearningRate ?? 0, notNegative),
  };
}

function normaliseAugmentation(input: NonNullable<PlanInput['augmentation']>, prefix: string): AugmentationPlan {
  const at = (field: string) => `${prefix}.${field}`;
  const cropPadding = integer(at('cropPadding'), input.cropPadding ?? 0, 0, MAX_INT);
  const randomResizedCrop = input.randomResizedCrop ?? false;
  if (randomResizedCrop && cropPadding > 0)
    throw badInput(at('randomResizedCrop'), `is one way to crop, and cropPadding ${cropPadding} another: give one`);
  return {
    cropPadding,
    horizontalFlip: input.horizontalFlip ?? false,
    randomErasing: number(at('randomErasing'), input.randomErasing ?? 0, probability),
    randomResizedCrop,
    mixup: number(at('mixup'), input.mixup ?? 0, mixingAlpha),
    cutmix: number(at('cutmix'), input.cutmix ?? 0, mixingAlpha),
  };
}

function normaliseStopping(input: NonNullable<PlanInput['earlyStopping']>, prefix: string): EarlyStoppingPlan {
  const at = (field: string) => `${prefix}.${field}`;
  return {
    metric: oneOf(at('metric'), input.metric ?? 'VALIDATION_LOSS', METRICS),
    patience: integer(at('patience'), input.patience ?? 3, 1, MAX_EPOCHS),
    minDelta: number(at('minDelta'), input.minDelta ?? 0, notNegative),
  };
}

/**
 * A stored plan, or a run's config, from before there were some fields, with what their absence means: to compare it
 * with one from today.
 */
export function withLaterFields<T extends Pick<TrainingPlan, 'augmentation' | 'validationFraction'>>(stored: T): T {
  const augmentation = { randomErasing: 0, randomResizedCrop: false, mixup: 0, cutmix: 0, ...stored.augmentation };
  return { validationFraction: 0, ...stored, augmentation };
}

function milestones(field: string, kind: SchedulePlan['kind'], given: readonly number[]): readonly number[] {
  if (kind !== 'STEP' && given.length > 0)
    throw badInput(field, `milestones belong to the STEP schedule, not to ${kind}`);
  if (kind === 'STEP' && given.length === 0)
    throw badInput(field, 'the STEP schedule needs the epochs at which the rate falls');
  const ascending = given.every((epoch, index) => Number.isFinite(epoch) && epoch > (given[index - 1] ?? 0));
  if (!ascending) throw badInput(field, `must be epochs above 0 in ascending order, not [${given.join(', ')}]`);
  return [...given];
}

interface Range {
  readonly holds: (value: number) => boolean;
  readonly wanted: string;
}
const positive: Range = { holds: (value) => value > 0, wanted: 'above 0' };
const notNegative: Range = { holds: (value) => value >= 0, wanted: 'at least 0' };
const fraction: Range = { holds: (value) => value >= 0 && value < 1, wanted: 'at least 0 and less than 1' };
const betweenZeroAndOne: Range = { holds: (value) => value > 0 && value < 1, wanted: 'above 0 and less than 1' };
const probability: Range = { holds: (value) => value >= 0 && value <= 1, wanted: 'from 0 to 1' };
const mixingAlpha: Range = { holds: (value) => value >= 0 && value <= MAX_MIXING_ALPHA, wanted: `from 0 to ${MAX_MIXING_ALPHA}` };

const isGiven = <T>(value: T | null | undefined): value is T => value !== null && value !== undefined;

function number(field: string, value: number, { holds, wanted }: Range): number {
  if (!Number.isFinite(value) || !holds(value)) throw badInput(field, `must be ${wanted}, not ${value}`);
  return value;
}
