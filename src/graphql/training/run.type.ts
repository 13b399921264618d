import { Field, Float, ID, Int, ObjectType } from 'type-graphql';
import { METRICS } from '../../domain/plan.js';
import { connectionType } from '../connection.js';
import { BigIntValue, DateTime, JSONValue } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const EngineEnum = schemaEnum('Engine', ['AUTO', 'ONEDNN', 'TFJS']);
export type EngineName = keyof typeof EngineEnum;
export const PrecisionEnum = schemaEnum('Precision', ['AUTO', 'FLOAT32', 'BFLOAT16']);
export type PrecisionName = keyof typeof PrecisionEnum;
export const OptimizerKindEnum = schemaEnum('OptimizerKind', ['SGD', 'ADAM', 'ADAMW']);
export type OptimizerKind = keyof typeof OptimizerKindEnum;
export const ScheduleKindEnum = schemaEnum('ScheduleKind', ['CONSTANT', 'STEP', 'COSINE', 'ONE_CYCLE']);
export type ScheduleKind = keyof typeof ScheduleKindEnum;
export const RunStatusEnum = schemaEnum('RunStatus', [
  'QUEUED', 'RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED',
]); // prettier-ignore
export const MetricEnum = schemaEnum('Metric', METRICS);
export type RunStatus = keyof typeof RunStatusEnum;

@ObjectType('EpochMetrics')
export class EpochMetricsType {
  @Field(() => Int, { description: '1-based.' }) epoch!: number;
  @Field(() => Float) trainLoss!: number;
  @Field(() => Float) trainAccuracy!: number;
  @Field(() => Float) validationLoss!: number;
  @Field(() => Float) validationAccuracy!: number;
  @Field(() => Float) learningRate!: number;
  @Field(() => Float) imagesPerSecond!: number;
  @Field(() => Float) seconds!: number;
}

@ObjectType('StepMetrics')
export class StepMetricsType {
  @Field(() => Int, { description: '1-based, over the whole run.' }) step!: number;
  @Field(() => Int) epoch!: number;
  @Field(() => Float) loss!: number;
  @Field(() => Float) accuracy!: number;
  @Field(() => Float) learningRate!: number;
  @Field(() => Float) imagesPerSecond!: number;
}

@ObjectType('Checkpoint')
export class CheckpointType {
  @Field(() => Int, { description: 'Steps taken.' }) step!: number;
  @Field(() => Int, { description: 'Complete epochs.' }) epoch!: number;
  @Field(() => BigIntValue) bytes!: bigint;
  @Field(() => String) sha256!: string;
  @Field(() => DateTime) createdAt!: Date;
}

@ObjectType('LogLine')
export class LogLineType {
  @Field(() => DateTime) at!: Date;
  @Field(() => String) level!: string;
  @Field(() => String) message!: string;
}

@ObjectType('TrainingRun')
export class TrainingRunType {
  @Field(() => ID) id!: string;
  @Field(() => Int) number!: number;
  @Field(() => RunStatusEnum) status!: RunStatus;
  @Field(() => JSONValue, { description: 'The whole normalised input.' }) config!: unknown;
  @Field(() => EngineEnum, { nullable: true }) engine!: EngineName | null;
  @Field(() => PrecisionEnum, { nullable: true }) precision!: PrecisionName | null;
  @Field(() => Int, {
    nullable: true,
    description: 'That its steps compute with, those of a resumed attempt too; null before the first, and on TFJS.',
  })
  threads!: number | null;
  @Field(() => Int) epoch!: number;
  @Field(() => Int) step!: number;
  @Field(() => Int) totalSteps!: number;
  @Field(() => Float, { nullable: true }) etaSeconds!: number | null;
  @Field(() => String, { nullable: true }) failure!: string | null;
  @Field(() => Int, { nullable: true, description: 'Which trial of its sweep, from 1.' }) trial!: number | null;
  @Field(() => [String]) tags!: string[];
  @Field(() => DateTime) createdAt!: Date;
  @Field(() => DateTime, { nullable: true }) startedAt!: Date | null;
  @Field(() => DateTime, { nullable: true }) finishedAt!: Date | null;
}

@ObjectType('Worker')
export class WorkerType {
  @Field(() => ID) id!: string;
  @Field(() => String) host!: string;
  @Field(() => EngineEnum) engine!: EngineName;
  @Field(() => String) device!: string;
  @Field(() => Int, { nullable: true, description: 'That a step of a new run computes with on the CPU.' })
  threads!: number | null;
  @Field(() => DateTime, { description: 'It says once a second that it is there.' }) lastSeenAt!: Date;
  @Field(() => Boolean, { description: 'Whether it was heard of within the last 15 s.' }) online!: boolean;
}

@ObjectType('QueueStats')
export class QueueStatsType {
  @Field(() => Int) waiting!: number;
  @Field(() => Int) active!: number;
  @Field(() => Int) paused!: number;
  @Field(() => Int) failed!: number;
}

export const TrainingRunConnection = connectionType('TrainingRun', () => TrainingRunType);
export const LogConnection = connectionType('Log', () => LogLineType);
