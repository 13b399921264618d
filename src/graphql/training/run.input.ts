import { Field, Float, InputType, Int } from 'type-graphql';
import type { Metric } from '../../domain/plan.js';
import { EngineEnum, MetricEnum, OptimizerKindEnum, PrecisionEnum, ScheduleKindEnum } from './run.type.js';
import type { EngineName, OptimizerKind, PrecisionName, ScheduleKind } from './run.type.js';

@InputType()
export class OptimizerInput {
  @Field(() => OptimizerKindEnum, { defaultValue: 'SGD' }) kind!: OptimizerKind;
  @Field(() => Float, { defaultValue: 0.1 }) learningRate!: number;
  @Field(() => Float, { nullable: true, defaultValue: 0.9 }) momentum!: number;
  @Field(() => Boolean, { nullable: true, defaultValue: true }) nesterov!: boolean;
  @Field(() => Float, { nullable: true, defaultValue: 0.0005, description: 'Not on biases and norms.' })
  weightDecay!: number;
  @Field(() => Float, { nullable: true, defaultValue: 0.9 }) beta1!: number;
  @Field(() => Float, { nullable: true, defaultValue: 0.999 }) beta2!: number;
  @Field(() => Float, { nullable: true, defaultValue: 1e-8 }) epsilon!: number;
  @Field(() => Float, {
    nullable: true,
    description: 'Largest L2 norm of all gradients together, above which they are scaled down to it.',
  })
  clipNorm?: number;
}

@InputType()
export class ScheduleInput {
  @Field(() => ScheduleKindEnum, { defaultValue: 'COSINE' }) kind!: ScheduleKind;
  @Field(() => Float, { nullable: true, defaultValue: 0 }) warmupEpochs!: number;
  @Field(() => [Float], { nullable: true, description: 'Epochs at which STEP multiplies the rate by gamma.' })
  milestones?: number[];
  @Field(() => Float, { nullable: true, defaultValue: 0.1 }) gamma!: number;
  @Field(() => Float, { nullable: true, defaultValue: 0 }) finalLearningRate!: number;
}

@InputType()
export class AugmentationInput {
  @Field(() => Int, { nullable: true, defaultValue: 0, description: 'Pixels on each side before a random crop.' })
  cropPadding!: number;
  @Field(() => Boolean, { nullable: true, defaultValue: false }) horizontalFlip!: boolean;
  @Field(() => Float, {
    nullable: true,
    defaultValue: 0,
    description: 'Probability that a rectangle of the image becomes 0 after normalisation.',
  })
  randomErasing!: number;
  @Field(() => Boolean, {
    nullable: true,
    defaultValue: false,
    description: 'A random part of the image resized to the whole, in place of cropPadding.',
  })
  randomResizedCrop!: boolean;
  @Field(() => Float, {
    nullable: true,
    defaultValue: 0,
    description: 'alpha of the Beta distribution that pairs of images and labels are mixed by; 0: off.',
  })
  mixup!: number;
  @Field(() => Float, {
    nullable: true,
    defaultValue: 0,
    description: "alpha of the Beta distribution of the share that another image's rectangle takes; 0: off.",
  })
  cutmix!: number;
}

@InputType()
export class EarlyStoppingInput {
  @Field(() => MetricEnum, { defaultValue: 'VALIDATION_LOSS' }) metric!: Metric;
  @Field(() => Int, { defaultValue: 3, description: 'Epochs in a row without a new best, after which the run ends.' })
  patience!: number;
  @Field(() => Float, { defaultValue: 0, description: 'A new best must be better by more than this.' })
  minDelta!: number;
}

@InputType()
export class StartTrainingInput {
  @Field(() => String, { description: 'Its name.' }) model!: string;
  @Field(() => String, { description: 'name or name@version; a bare name is its latest READY version.' })
  dataset!: string;
  @Field(() => Int, { defaultValue: 10 }) epochs!: number;
  @Field(() => Int, { defaultValue: 128 }) batchSize!: number;
  @Field(() => OptimizerInput, { nullable: true, description: "Left out: the preset's recipe, or the defaults." })
  optimizer?: OptimizerInput;
  @Field(() => ScheduleInput, { nullable: true, description: "Left out: the preset's recipe, or the defaults." })
  schedule?: ScheduleInput;
  @Field(() => AugmentationInput, { nullable: true }) augmentation?: AugmentationInput;
  @Field(() => Float, { nullable: true, defaultValue: 0 }) labelSmoothing!: number;
  @Field(() => Float, {
    nullable: true,
    description: 'Keeps exponential moving averages of the weights, which are evaluated and published: 0.999, say.',
  })
  emaDecay?: number;
  @Field(() => EarlyStoppingInput, {
    nullable: true,
    description: 'The version has the weights of the last epoch trained, not of the best.',
  })
  earlyStopping?: EarlyStoppingInput;
  @Field(() => Float, {
    defaultValue: 0,
    description: 'Share of TRAIN, by class, that validates instead of training; 0: TEST validates.',
  })
  validationFraction!: number;
  @Field(() => EngineEnum, { defaultValue: 'AUTO' }) engine!: EngineName;
  @Field(() => PrecisionEnum, { defaultValue: 'AUTO' }) precision!: PrecisionName;
  @Field(() => Int, { defaultValue: 0 }) seed!: number;
  @Field(() => Int, { defaultValue: 0, description: 'Larger runs first.' }) priority!: number;
  @Field(() => String, {
    nullable: true,
    description:
      'To fine-tune: a version as in predict (name, name:3, name:latest or name@alias; a bare name is @production if ' +
      'there is one, else latest), or an artifact by id or SHA-256. A differing head is re-initialised.',
  })
  initialWeights?: string;
  @Field(() => Int, { nullable: true, description: 'A checkpoint after so many steps each, beside one each epoch.' })
  checkpointEverySteps?: number;
  @Field(() => Int, { defaultValue: 2, description: 'So many stay after the end; until then at least one.' })
  keepCheckpoints!: number;
  @Field(() => Boolean, {
    defaultValue: false,
    description: "Quantise its version to eight bits once it is published; see the version's quantization.",
  })
  quantize!: boolean;
  @Field(() => [String], { nullable: true }) tags?: string[];
  @Field(() => String, {
    nullable: true,
    description: 'The same key and input: the same run; the same key, another input: CONFLICT.',
  })
  idempotencyKey?: string;
}
