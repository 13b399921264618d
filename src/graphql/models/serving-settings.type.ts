import { Field, InputType, Int, ObjectType } from 'type-graphql';

@ObjectType('ServingSettings', { description: 'How requests for a model are batched.' })
export class ServingSettingsType {
  @Field(() => Int, { description: 'Images in one batch.' }) maxBatch!: number;
  @Field(() => Int, { description: 'How long a request may wait for others although nothing is computing.' })
  maxDelayMs!: number;
  @Field(() => Int, { description: 'Images that may wait; a request beyond it is RATE_LIMITED.' }) maxQueue!: number;
}

@InputType({ description: 'What is left out stays as it is.' })
export class ServingSettingsInput {
  @Field(() => Int, { nullable: true, description: '1 to 256; 32 unless set.' }) maxBatch?: number;
  @Field(() => Int, { nullable: true, description: '0 to 10,000; 0 unless set.' }) maxDelayMs?: number;
  @Field(() => Int, { nullable: true, description: '1 to 1,024; 1,024 unless set.' }) maxQueue?: number;
}
