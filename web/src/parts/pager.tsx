import { Link, useLocation, useSearchParams } from 'react-router';

interface PageInfo {
  readonly hasNextPage: boolean;
  readonly hasPreviousPage: boolean;
  readonly startCursor?: string | null;
  readonly endCursor?: string | null;
}

const PAGE_SIZE = 20;

/** Which page the address asks for, as a connection takes it. */
export function usePageArguments() {
  const [params] = useSearchParams();
  const before = params.get('before');
  return before === null ? { first: PAGE_SIZE, after: params.get('after') } : { last: PAGE_SIZE, before };
}

/** To the neighbouring pages of a list whose newest comes first. */
export function Pager({ of, total, noun }: { of: PageInfo; total: number; noun: string }) {
  const [params] = useSearchParams();
  const { pathname } = useLocation();
  const to = (cursor: 'before' | 'after', value: string) => {
    const next = new URLSearchParams(params);
    next.delete('before');
    next.delete('after');
    next.set(cursor, value);
    return `${pathname}?${next}`;
  };
  return (
    <nav className="pager" aria-label={`Pages of ${noun}`}>
      <span className="hint">{total} {noun}</span>
      {of.hasPreviousPage && of.startCursor && <Link className="button" to={to('before', of.startCursor)}>← Newer</Link>}
      {of.hasNextPage && of.endCursor && <Link className="button" to={to('after', of.endCursor)}>Older →</Link>}
    </nav>
  );
}
