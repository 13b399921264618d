/** A training plan: what `startTraining` was asked for with every default filled in. It is stored with the run and alone decides it. */
export interface TrainingPlan {
  readonly epochs: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerPlan;
  readonly schedule: SchedulePlan;
  readonly augmentation: AugmentationPlan;
  /** In [0, 1). */
  readonly labelSmoothing: number;
  readonly engine: 'AUTO' | 'ONEDNN' | 'TFJS';
  readonly precision: 'AUTO' | 'FLOAT32' | 'BFLOAT16';
  readonly seed: number;
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
}
