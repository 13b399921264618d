import { Field, InputType, Int } from 'type-graphql';
import { Byte } from '../scalars.js';

@InputType()
export class PredictInput {
  @Field(() => String, {
    description:
      'name, name:3, name:latest or name@alias; a bare name is @production if there is one, else latest. Behind it, ' +
      '#int8: in eight bits.',
  })
  model!: string;
  @Field(() => [Byte], { description: 'PNG, JPEG or WebP; 1 to 64.' }) images!: Buffer[];
  @Field(() => Int, { defaultValue: 5 }) topK!: number;
  @Field(() => Boolean, { defaultValue: false, description: 'Draw where the top class was seen.' }) explain!: boolean;
}
