import { badInput } from '../errors.js';
import type { Prisma, TrainingRun } from '../infra/prisma/client.js';

/** What a list of runs may be sorted by. Runs that do not have it come last, whichever the direction. */
export const RUN_ORDER_FIELDS = ['NUMBER', 'STARTED_AT', 'FINISHED_AT', 'ACCURACY', 'LOSS'] as const;
export type RunOrderField = (typeof RUN_ORDER_FIELDS)[number];
export interface RunOrder {
  readonly field: RunOrderField;
  readonly direction: 'ASC' | 'DESC';
}

export const NEWEST_FIRST: RunOrder = { field: 'NUMBER', direction: 'DESC' };

/** `number` is the order itself; of the others runs may share a value, and `number` decides. */
const COLUMNS = { STARTED_AT: 'startedAt', FINISHED_AT: 'finishedAt', ACCURACY: 'accuracy', LOSS: 'loss' } as const;
type Column = (typeof COLUMNS)[keyof typeof COLUMNS];
const columnOf = (field: RunOrderField): Column | undefined => (field === 'NUMBER' ? undefined : COLUMNS[field]);

export function orderRuns({ field, direction }: RunOrder): Prisma.TrainingRunOrderByWithRelationInput[] {
  const sort = direction === 'ASC' ? 'asc' : 'desc';
  const column = columnOf(field);
  return [...(column ? [{ [column]: { sort, nulls: 'last' } }] : []), { number: sort }];
}

/**
 * Where a run stands in an order: it carries what the run was sorted by, so a page goes on from there even if the run
 * has moved or is gone. `NUMBER:7`, `ACCURACY:7:0.93`, `ACCURACY:7:` without a value.
 */
export function placeOf(run: TrainingRun, { field }: RunOrder): string {
  const column = columnOf(field);
  if (!column) return `${field}:${run.number}`;
  const value = run[column];
  return `${field}:${run.number}:${value instanceof Date ? value.getTime() : (value ?? '')}`;
}

/**
 * The runs behind that place, or before it.
 * @throws BAD_USER_INPUT where it is no place in this order
 */
export function runsBeyond(place: string, order: RunOrder, side: 'after' | 'before'): Prisma.TrainingRunWhereInput {
  const [field, number, value = ''] = place.split(':');
  if (field !== order.field || !/^\d{1,9}$/.test(number ?? '') || !Number.isFinite(Number(value)))
    throw badInput(side, `is not a cursor of the runs by ${order.field}`);
  const beyond = (order.direction === 'ASC') === (side === 'after') ? 'gt' : 'lt';
  const byNumber = { number: { [beyond]: Number(number) } };
  const column = columnOf(order.field);
  if (!column) return byNumber;
  // What has no value stands behind everything that has one.
  const valued = { [column]: { not: null } };
  if (value === '') return { OR: [{ [column]: null, ...byNumber }, ...(side === 'before' ? [valued] : [])] };
  const own = column === 'startedAt' || column === 'finishedAt' ? new Date(Number(value)) : Number(value);
  return {
    OR: [
      { [column]: { [beyond]: own } },
      { [column]: own, ...byNumber },
      ...(side === 'after' ? [{ [column]: null }] : []),
    ],
  };
}
