import { Field, Float, Int, ObjectType } from 'type-graphql';

@ObjectType('ClassMetrics')
export class ClassMetricsType {
  @Field(() => String) className!: string;
  @Field(() => Float) precision!: number;
  @Field(() => Float) recall!: number;
  @Field(() => Float) f1!: number;
  @Field(() => Int) support!: number;
}

@ObjectType('Evaluation')
export class EvaluationType {
  @Field(() => Float) loss!: number;
  @Field(() => Float) accuracy!: number;
  @Field(() => Float, { nullable: true, description: 'Where there are more than five classes.' })
  top5Accuracy!: number | null;
  @Field(() => [[Int]], { description: 'A row for each true class, a column for each predicted one.' })
  confusion!: number[][];
  @Field(() => [ClassMetricsType]) perClass!: ClassMetricsType[];
}

@ObjectType('Mistake', { description: 'An image that was taken for another class.' })
export class MistakeType {
  @Field(() => Int, { description: "In the data set's TEST split." }) index!: number;
  @Field(() => Int) label!: number;
  @Field(() => String, { description: 'Of the label.' }) className!: string;
  @Field(() => Int, { description: 'The label that it was taken for.' }) predicted!: number;
  @Field(() => String) predictedClassName!: string;
  @Field(() => Float, { description: 'Of the predicted class.' }) probability!: number;
}
