import { Arg, Ctx, ID, Query, Resolver } from 'type-graphql';
import { compareRuns } from '../../runs/compare-runs.js';
import { Requires } from '../access/authorise.js';
import type { Context } from '../context.js';
import { RunComparisonType } from './comparison.type.js';

@Resolver()
export class ComparisonResolver {
  @Requires('VIEWER')
  @Query(() => RunComparisonType, { description: '2 to 8 runs, side by side.' })
  async compareRuns(@Ctx() { services }: Context, @Arg('ids', () => [ID]) ids: string[]) {
    return compareRuns(services, ids);
  }
}
