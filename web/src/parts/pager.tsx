import { Link, useLocation, useSearchParams } from 'react-router';

interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor?: string | null;
  readonly endCursor?: string | null;
}

interface Connection {
  readonly pageInfo: PageInfo;
  readonly totalCount: number;
}

const PAGE_SIZE = 20;

/** Which page the address asks for, as a connection takes it. */
export function usePageArguments() {
  const [params] = useSearchParams();
  const before = params.get('before');
  return before === null ? { first: PAGE_SIZE, after: params.get('after') } : { last: PAGE_SIZE, before };
}

/** To the neighbouring pages of a list whose newest comes first. */
export function Pager({ of: { pageInfo, totalCount }, noun }: { of: Connection; noun: string }) {
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
      <span className="hint">{totalCount} {totalCount === 1 ? noun : `${noun}s`}</span>
      {hasPreviousPage && startCursor && <Link className="button" to={to('before', startCursor)}>← Newer</Link>}
      {hasNextPage && endCursor && <Link className="button" to={to('after', endCursor)}>Older →</Link>}
    </nav>
  );
}
