import { Field, Float, Int, ObjectType } from 'type-graphql';
import { BigIntValue, Byte, DateTime } from '../scalars.js';
import { ModelVersionType } from '../registry/version.type.js';

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

@ObjectType('LatencyQuantiles')
export class LatencyQuantilesType {
  @Field(() => Float) p50!: number;
  @Field(() => Float) p95!: number;
  @Field(() => Float) p99!: number;
}

@ObjectType('CachedModel')
export class CachedModelType {
  @Field(() => ModelVersionType) version!: ModelVersionType;
  @Field(() => BigIntValue) bytes!: number;
  @Field(() => DateTime) lastUsedAt!: Date;
  @Field(() => BigIntValue) requests!: number;
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
  @Field(() => LatencyQuantilesType) latencyMs!: LatencyQuantilesType;
  @Field(() => Float) meanBatchSize!: number;
}
