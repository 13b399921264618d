import { Field, ID, ObjectType } from 'type-graphql';
import { UploadTargetType } from '../datasets/dataset.type.js';

@ObjectType('WeightsUpload')
export class WeightsUploadType {
  @Field(() => ID, { description: 'What importWeights takes the uploaded file by.' }) id!: string;
  @Field(() => UploadTargetType) upload!: UploadTargetType;
}
