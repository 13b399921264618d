import { ArgsType, Field, Int, ObjectType, type ClassType } from 'type-graphql';
import { badInput } from '../errors.js';
import type { Page, PageArguments } from '../infra/page.js';

/** Relay cursor connections: https://relay.dev/graphql/connections.htm */
export const MAX_PAGE_SIZE = 100;
/** Rows of a page whose size the caller leaves open. */
export const DEFAULT_PAGE_SIZE = 20;

@ArgsType()
export class ConnectionArguments {
  @Field(() => Int, { nullable: true, description: `How many of the next: 20 if left out, at most ${MAX_PAGE_SIZE}.` })
  first?: number | null;

  @Field(() => String, { nullable: true, description: 'The cursor that the page begins behind.' })
  after?: string | null;

  @Field(() => Int, { nullable: true, description: `How many of the last, at most ${MAX_PAGE_SIZE}.` })
  last?: number | null;

  @Field(() => String, { nullable: true, description: 'The cursor that the page ends before.' })
  before?: string | null;
}

@ObjectType()
export class PageInfo {
  @Field(() => Boolean) hasNextPage!: boolean;
  @Field(() => Boolean) hasPreviousPage!: boolean;
  @Field(() => String, { nullable: true }) startCursor!: string | null;
  @Field(() => String, { nullable: true }) endCursor!: string | null;
}

export interface Connection<T> {
  readonly edges: { readonly cursor: string; readonly node: T }[];
  readonly nodes: T[];
  readonly pageInfo: PageInfo;
  readonly totalCount: number;
}

/** The object type `<name>Connection`, with its `<name>Edge`. */
export function connectionType(name: string, node: () => ClassType): ClassType<Connection<unknown>> {
  @ObjectType(`${name}Edge`)
  class Edge {
    @Field(() => String) cursor!: string;
    @Field(node) node!: unknown;
  }

  @ObjectType(`${name}Connection`)
  class NodeConnection implements Connection<unknown> {
    @Field(() => [Edge]) edges!: Edge[];
    @Field(() => [node()]) nodes!: unknown[];
    @Field(() => PageInfo) pageInfo!: PageInfo;
    @Field(() => Int) totalCount!: number;
  }
  return NodeConnection;
}

/** What the database is asked for. @throws BAD_USER_INPUT for a size or a cursor that is none */
export function pageArguments({ first, after, last, before }: ConnectionArguments): PageArguments {
  if (first != null && last != null) throw badInput('last', 'give first or last, not both');
  if (last == null && before != null) throw badInput('before', 'before goes with last');
  if (last != null && after != null) throw badInput('after', 'after goes with first');
  if (last != null)
    return { last: pageSize(last, 'last'), ...(before != null && { before: decodeCursor(before, 'before') }) };
  const size = pageSize(first ?? DEFAULT_PAGE_SIZE, 'first');
  return { first: size, ...(after != null && { after: decodeCursor(after, 'after') }) };
}

export function toConnection<T extends { readonly id: string | bigint }>(page: Page<T>): Connection<T> {
  const { placeOf = ({ id }) => String(id) } = page;
  const edges = page.items.map((node) => ({ cursor: encodeCursor(placeOf(node)), node }));
  return {
    edges,
    nodes: page.items,
    totalCount: page.totalCount,
    pageInfo: {
      hasNextPage: page.hasNextPage,
      hasPreviousPage: page.hasPreviousPage,
      startCursor: edges.at(0)?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  };
}

function pageSize(size: number, field: string): number {
  if (size < 0 || size > MAX_PAGE_SIZE) throw badInput(field, `${field} must be 0 to ${MAX_PAGE_SIZE}, not ${size}`);
  return size;
}

const CURSOR = /^after:([\w:.+-]+)$/;

function encodeCursor(place: string): string {
  return Buffer.from(`after:${place}`).toString('base64url');
}

function decodeCursor(cursor: string, field: string): string {
  const [, place] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? [];
  if (place === undefined) throw badInput(field, `${field} must be a cursor of this list`);
  return place;
}
