import { Field, ObjectType } from 'type-graphql';
import { DateTime } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';

export const QuantizationStatusEnum = schemaEnum('QuantizationStatus', ['PENDING', 'SUCCEEDED', 'FAILED']);

@ObjectType('Quantization', { description: "A version's network in eight bits, on its way or there." })
export class QuantizationType {
  @Field(() => QuantizationStatusEnum) status!: keyof typeof QuantizationStatusEnum;
  @Field(() => String, { nullable: true, description: 'Why the last attempt failed.' }) failure!: string | null;
  @Field(() => DateTime, { description: 'When it was first asked for.' }) createdAt!: Date;
  @Field(() => DateTime, { nullable: true }) finishedAt!: Date | null;
}
