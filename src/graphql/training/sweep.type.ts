import { Field, ID, Int, ObjectType } from 'type-graphql';
import { SEARCH_ALGORITHMS } from '../../domain/search.js';
import { connectionType } from '../connection.js';
import { DateTime, JSONValue } from '../scalars.js';
import { schemaEnum } from '../schema-enum.js';
import { RunStatusEnum, type RunStatus } from './run.type.js';

export const SearchAlgorithmEnum = schemaEnum('SearchAlgorithm', SEARCH_ALGORITHMS);

@ObjectType('Sweep')
export class SweepType {
  @Field(() => ID) id!: string;
  @Field(() => String) name!: string;
  @Field(() => RunStatusEnum, {
    description:
      'RUNNING until every trial is over; SUCCEEDED where one of them did, else FAILED where one did, else ' +
      'CANCELLED. After cancelSweep CANCELLED at once.',
  })
  status!: RunStatus;
  @Field(() => JSONValue, { description: 'The whole input; the base as it was given.' }) config!: unknown;
  @Field(() => Int, { description: 'How many it started with.' }) trials!: number;
  @Field(() => [Int], { description: 'Complete epochs after which ASHA compares trials; else none.' }) rungs!: number[];
  @Field(() => DateTime) createdAt!: Date;
  @Field(() => DateTime, { nullable: true }) finishedAt!: Date | null;
}

export const SweepConnection = connectionType('Sweep', () => SweepType);
