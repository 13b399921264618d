import { Field, Int, ObjectType } from 'type-graphql';
import { JSONValue } from '../scalars.js';
import { EpochMetricsType, TrainingRunType } from './run.type.js';

@ObjectType('ComparedEpoch')
export class ComparedEpochType {
  @Field(() => Int, { description: '1-based.' }) epoch!: number;
  @Field(() => [EpochMetricsType], {
    nullable: 'items',
    description: 'One for each run, in their order; null where a run has not come so far.',
  })
  metrics!: (EpochMetricsType | null)[];
}

@ObjectType('ConfigDifference')
export class ConfigDifferenceType {
  @Field(() => String, { description: 'Dotted: optimizer.learningRate.' }) path!: string;
  @Field(() => [JSONValue], {
    nullable: 'items',
    description: 'One for each run, in their order; null where a run does not have it.',
  })
  values!: unknown[];
}

@ObjectType('RunComparison')
export class RunComparisonType {
  @Field(() => [TrainingRunType], { description: 'In the order asked for.' }) runs!: TrainingRunType[];
  @Field(() => [ComparedEpochType], { description: 'The histories side by side: each epoch that a run has.' })
  history!: ComparedEpochType[];
  @Field(() => [ConfigDifferenceType], { description: 'What is not the same in the config of all.' })
  differences!: ConfigDifferenceType[];
}
