import type { RunOrderField, RunStatus, RunsQueryVariables } from '../../gql/graphql';
import { pageArguments } from '../../parts/pager';

export const STATUSES: readonly RunStatus[] = ['QUEUED', 'RUNNING', 'PAUSED', 'SUCCEEDED', 'FAILED', 'CANCELLED'];

/** As the address has them, and as people read them. */
export const ORDERS: Readonly<Record<string, { name: string; field: RunOrderField; direction: 'ASC' | 'DESC' }>> = {
  newest: { name: 'newest first', field: 'NUMBER', direction: 'DESC' },
  oldest: { name: 'oldest first', field: 'NUMBER', direction: 'ASC' },
  started: { name: 'last started first', field: 'STARTED_AT', direction: 'DESC' },
  finished: { name: 'last finished first', field: 'FINISHED_AT', direction: 'DESC' },
  accuracy: { name: 'best accuracy first', field: 'ACCURACY', direction: 'DESC' },
  loss: { name: 'smallest loss first', field: 'LOSS', direction: 'ASC' },
};

const PAGE_SIZE = 25;

/** What the page's address asks for. */
export function variablesOf(address: URLSearchParams): RunsQueryVariables {
  const { field, direction } = ORDERS[address.get('order') ?? 'newest'] ?? ORDERS['newest']!;
  const status = STATUSES.filter((one) => address.getAll('status').includes(one));
  return {
    ...pageArguments(address, PAGE_SIZE),
    ...(status.length > 0 && { status }),
    model: address.get('model'),
    tag: address.get('tag'),
    orderBy: { field, direction },
  };
}

/** The address with a setting changed; from the first page on, since another list has other pages. */
export function changed(address: URLSearchParams, name: string, values: readonly string[]): URLSearchParams {
  const next = new URLSearchParams(address);
  for (const gone of [name, 'after', 'before']) next.delete(gone);
  for (const value of values) if (value !== '') next.append(name, value);
  return next;
}
