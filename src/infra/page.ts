import { badInput } from '../errors.js';

/**
 * Relay's window onto a list, by row id or by what else the list's cursors hold. At most one of (first, after) and
 * (last, before) is used.
 */
export interface PageArguments {
  readonly first?: number;
  readonly after?: string;
  readonly last?: number;
  readonly before?: string;
}

export interface Page<T> {
  readonly items: T[];
  readonly totalCount: number;
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  /** What an item's cursor holds, where that is not its id. */
  readonly placeOf?: (item: T) => string;
}

/**
 * Where a page begins or ends: what a cursor holds, and the argument that it was sent as. Prisma's own `cursor` finds
 * nothing once its row is gone, so a place is compared with instead.
 */
export interface Place {
  readonly holds: string;
  readonly side: 'after' | 'before';
}

export interface Window {
  /** As Prisma's `findMany` takes it: where it is negative, so many of the last. */
  readonly take: number;
  readonly place?: Place;
}

const DEFAULT_SIZE = 20;

/** One page by keyset: reads one row more than asked for to know whether there are others. */
export async function readPage<T>(
  { first, after, last, before }: PageArguments,
  find: (window: Window) => Promise<T[]>,
  count: () => Promise<number>,
): Promise<Page<T>> {
  const backwards = last !== undefined;
  const size = last ?? first ?? DEFAULT_SIZE;
  const cursor = backwards ? before : after;
  const take = backwards ? -(size + 1) : size + 1;
  const side = backwards ? 'before' : 'after';
  const [rows, totalCount] = await Promise.all([
    find({ take, ...(cursor !== undefined && { place: { holds: cursor, side } }) }),
    count(),
  ]);
  const more = rows.length > size;
  const items = backwards ? rows.slice(Math.max(rows.length - size, 0)) : rows.slice(0, size);
  return {
    items,
    totalCount,
    hasNextPage: backwards ? cursor !== undefined : more,
    hasPreviousPage: backwards ? more : cursor !== undefined,
  };
}

type Beyond<T> = { readonly gt: T } | { readonly lt: T };

/**
 * Prisma's filter, on the column that a list is sorted by, for what stands beyond a place.
 * @param form of the list's cursors, whose first group is what `read` makes the column's value of
 * @throws BAD_USER_INPUT on the argument that the cursor was sent as
 */
export function beyond<T>(
  { holds, side }: Place,
  direction: 'asc' | 'desc',
  form: RegExp,
  read: (text: string) => T,
): Beyond<T> {
  const [, text] = form.exec(holds) ?? [];
  if (text === undefined) throw badInput(side, `${side} must be a cursor of this list`);
  return (direction === 'asc') === (side === 'after') ? { gt: read(text) } : { lt: read(text) };
}

const ID = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** Of a list by id, the newest first: ids are uuid(7), which begin with the time. @throws BAD_USER_INPUT */
export function idBeyond(place: Place | undefined): { readonly id?: Beyond<string> } {
  return place ? { id: beyond(place, 'desc', ID, String) } : {};
}
