import { Field, Float, InputType, Int } from 'type-graphql';
import type { Metric } from '../../domain/plan.js';
import type { SearchAlgorithm } from '../../domain/search.js';
import { JSONValue } from '../scalars.js';
import { StartTrainingInput } from './run.input.js';
import { MetricEnum } from './run.type.js';
import { SearchAlgorithmEnum } from './sweep.type.js';

@InputType({ description: '`values`, or a range from `min` to `max`, which a GRID does not take.' })
export class SweepParameterInput {
  @Field(() => String, {
    description: 'Any field of StartTrainingInput but idempotencyKey: batchSize, optimizer.learningRate, optimizer.',
  })
  path!: string;
  @Field(() => [JSONValue], { nullable: true }) values?: unknown[];
  @Field(() => Float, { nullable: true }) min?: number;
  @Field(() => Float, { nullable: true }) max?: number;
  @Field(() => Boolean, { nullable: true, defaultValue: false, description: 'Evenly over the orders of magnitude.' })
  log!: boolean;
}

@InputType()
export class StartSweepInput {
  @Field(() => String) name!: string;
  @Field(() => StartTrainingInput, {
    description: "What the trials have in common. Its seed also draws the trials; its idempotencyKey is the sweep's.",
  })
  base!: StartTrainingInput;
  @Field(() => [SweepParameterInput]) parameters!: SweepParameterInput[];
  @Field(() => SearchAlgorithmEnum, {
    defaultValue: 'ASHA',
    description:
      'GRID: every combination. RANDOM: drawn ones, none twice. ASHA: drawn alike; each trains minEpochs, and the ' +
      'best 1/reductionFactor of those that got as far train reductionFactor times as long, up to base.epochs.',
  })
  algorithm!: SearchAlgorithm;
  @Field(() => Int, { defaultValue: 8, description: 'How many are drawn, 1 to 1,000; a GRID has all there are.' })
  trials!: number;
  @Field(() => MetricEnum, { defaultValue: 'VALIDATION_ACCURACY', description: 'A loss is better smaller.' })
  metric!: Metric;
  @Field(() => Int, { defaultValue: 3, description: 'Of ASHA, 2 to 100.' }) reductionFactor!: number;
  @Field(() => Int, { defaultValue: 1, description: 'Of ASHA.' }) minEpochs!: number;
}
