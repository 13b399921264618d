import { Field, Float, Int, ObjectType } from 'type-graphql';
import type { CacheState } from '../../serving/model-cache.js';
import { ModelVersionType } from '../registry/version.type.js';
import { BigIntValue, Byte, DateTime } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const ServedStateEnum = schemaEnum('ServedState', ['LOADING', 'READY', 'RELEASING', 'FAILED']);

@ObjectType('ClassScore')
export class ClassScoreType {
  @Field(() => Int) index!: number;
  @Field(() => String) className!: string;
  @Field(() => Float) probability!: number;
}

@ObjectType('ImagePrediction')
export class ImagePredictionType {
  @Field(() => [ClassScoreType], { description: 'The likeliest first.' }) top!: ClassScoreType[];
  @Field(() => Byte, {
    nullable: true,
    description: "PNG: what the network saw of the image, under its top class's activation map (yellow: most).",
  })
  explanation!: Uint8Array | null;
}

@ObjectType('Prediction')
export class PredictionType {
  @Field(() => [ImagePredictionType], { description: 'In the order of the images.' })
  predictions!: ImagePredictionType[];
  @Field(() => Float) latencyMs!: number;
  @Field(() => Int, { description: 'Images in the largest batch that this request shared.' }) batchSize!: number;
  @Field(() => Boolean, { description: 'The model was in memory.' }) cacheHit!: boolean;
}

@ObjectType('LatencyQuantiles', {
  description: 'Of the last 4,096 requests and of none older than five minutes; 0 where there was none.',
})
export class LatencyQuantilesType {
  @Field(() => Float) p50!: number;
  @Field(() => Float) p95!: number;
  @Field(() => Float) p99!: number;
}

@ObjectType('CachedModel')
export class CachedModelType {
  @Field(() => ModelVersionType) version!: ModelVersionType;
  @Field(() => Boolean, { description: 'The network in eight bits.' }) int8!: boolean;
  @Field(() => BigIntValue) bytes!: number;
  @Field(() => DateTime) lastUsedAt!: Date;
  @Field(() => BigIntValue) requests!: number;
}

@ObjectType('ServedModelState')
export class ServedModelStateType {
  @Field(() => ModelVersionType) version!: ModelVersionType;
  @Field(() => Boolean, { description: 'The network in eight bits.' }) int8!: boolean;
  @Field(() => ServedStateEnum) state!: CacheState;
  @Field(() => String, { description: 'Why it is in this state.' }) reason!: string;
  @Field(() => BigIntValue, { description: 'Of memory.' }) bytes!: number;
  @Field(() => DateTime) lastUsedAt!: Date;
  @Field(() => BigIntValue, { description: 'Since it was loaded.' }) requests!: number;
}

@ObjectType('ServingStats')
export class ServingStatsType {
  @Field(() => BigIntValue) cacheBytes!: number;
  @Field(() => BigIntValue) cacheBudgetBytes!: number;
  @Field(() => BigIntValue) requests!: number;
  @Field(() => BigIntValue) images!: number;
  @Field(() => BigIntValue) cacheHits!: number;
  @Field(() => BigIntValue) cacheMisses!: number;
  @Field(() => BigIntValue) evictions!: number;
  @Field(() => BigIntValue, { description: 'Models that were loaded.' }) loads!: number;
  @Field(() => BigIntValue, { description: 'Loads that failed, those of corrupt objects among them.' })
  failedLoads!: number;
  @Field(() => BigIntValue, { description: 'Loads of an object that is missing or is not what was published.' })
  corruptLoads!: number;
  @Field(() => Int, { description: 'Images that are being decoded, wait, compute or are drawn.' })
  pendingImages!: number;
  @Field(() => LatencyQuantilesType) latencyMs!: LatencyQuantilesType;
  @Field(() => LatencyQuantilesType, { description: 'Part of latencyMs: decoding and normalising.' })
  preprocessMs!: LatencyQuantilesType;
  @Field(() => LatencyQuantilesType, { description: 'Part of latencyMs: waiting for the batch.' })
  queueMs!: LatencyQuantilesType;
  @Field(() => LatencyQuantilesType, { description: 'Part of latencyMs: computing.' })
  computeMs!: LatencyQuantilesType;
  @Field(() => Float) meanBatchSize!: number;
}
