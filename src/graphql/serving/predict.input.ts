import { Field, InputType, Int } from 'type-graphql';
import { Byte } from '../scalars.js';

@InputType()
export class PredictInput {
  @Field(() => String, { description: 'name or name:version; a bare name is its latest version.' }) model!: string;
  @Field(() => [Byte], { description: 'PNG, JPEG or WebP; 1 to 64.' }) images!: Buffer[];
  @Field(() => Int, { defaultValue: 5 }) topK!: number;
}
