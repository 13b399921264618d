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

/** What Prisma's `findMany` takes. A negative `take` reads backwards from the cursor. */
export interface Window {
  readonly take: number;
  readonly skip?: number;
  readonly cursor?: { id: string };
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
  const [rows, totalCount] = await Promise.all([
    find({ take, ...(cursor !== undefined && { cursor: { id: cursor }, skip: 1 }) }),
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
