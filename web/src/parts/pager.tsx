import { Link, useLocation, useSearchParams } from 'react-router';
import { graphql } from '../gql';
import type { PageEndsFragment } from '../gql/graphql';
import { count } from './figures';

graphql(`
  fragment PageEnds on PageInfo {
    hasNextPage
    hasPreviousPage
    startCursor
    endCursor
  }
`);

interface Connection {
  readonly pageInfo: PageEndsFragment;
  readonly totalCount: number;
}

const PAGE_SIZE = 20;

/** Which page an address asks for, as a connection takes it. */
export function pageArguments(address: URLSearchParams, size: number) {
  const before = address.get('before');
  return before === null ? { first: size, after: address.get('after') } : { last: size, before };
}

export function usePageArguments() {
  const [address] = useSearchParams();
  return pageArguments(address, PAGE_SIZE);
}

interface PagerProps {
  readonly of: Connection;
  readonly noun: string;
  /** How many of them are on this page, where that is to be told. */
  readonly shown?: number;
  /** What the pages before and behind this one are called: of a list whose newest comes first, unless told. */
  readonly names?: readonly [string, string];
}

/** To the neighbouring pages of a list. */
export function Pager({ of: { pageInfo, totalCount }, noun, shown, names = ['← Newer', 'Older →'] }: PagerProps) {
  const [params] = useSearchParams();
  const { pathname } = useLocation();
  const { hasPreviousPage, hasNextPage, startCursor, endCursor } = pageInfo;
  const to = (cursor: 'before' | 'after', value: string) => {
    const next = new URLSearchParams(params);
    next.delete('before');
    next.delete('after');
    next.set(cursor, value);
    return `${pathname}?${next}`;
  };
  return (
    <nav className="pager" aria-label={`Pages of ${noun}s`}>
      <span className="hint">
        {shown !== undefined && `${count(shown)} of `}{count(totalCount)} {totalCount === 1 ? noun : `${noun}s`}
      </span>
      {hasPreviousPage && startCursor && <Link className="button" to={to('before', startCursor)}>{names[0]}</Link>}
      {hasNextPage && endCursor && <Link className="button" to={to('after', endCursor)}>{names[1]}</Link>}
    </nav>
  );
}
