import { startTransition, useOptimistic } from 'react';
import { SearchField } from '../../parts/search-field';
import { changed, ORDERS, STATUSES } from './filter';

interface FiltersProps {
  readonly address: URLSearchParams;
  readonly setAddress: (address: URLSearchParams) => void;
}

/** Which runs are shown and in which order: all of it in the page's address. */
export function Filters({ address: given, setAddress }: FiltersProps) {
  // The router changes it in a transition, for which a checkbox cannot wait.
  const [address, show] = useOptimistic(given);
  const chosen = address.getAll('status');
  const set = (name: string, ...values: string[]) =>
    startTransition(() => {
      const next = changed(address, name, values);
      show(next);
      setAddress(next);
    });
  return (
    <form className="filters" role="search" aria-label="Runs" onSubmit={(event) => event.preventDefault()}>
      <fieldset>
        <legend>Status</legend>
        {STATUSES.map((status) => (
          <label key={status}>
            <input
              type="checkbox"
              checked={chosen.includes(status)}
              onChange={({ target: { checked } }) =>
                set('status', ...(checked ? [...chosen, status] : chosen.filter((one) => one !== status)))
              }
            />{' '}
            {status.toLowerCase()}
          </label>
        ))}
      </fieldset>
      <SearchField label="Model" value={address.get('model') ?? ''} onValue={(text) => set('model', text)} />
      <SearchField label="Tag" value={address.get('tag') ?? ''} onValue={(text) => set('tag', text)} />
      <div>
        <label htmlFor="order">Order</label>
        <select
          id="order"
          value={address.get('order') ?? 'newest'}
          onChange={({ target }) => set('order', target.value === 'newest' ? '' : target.value)}
        >
          {Object.entries(ORDERS).map(([key, { name }]) => <option key={key} value={key}>{name}</option>)}
        </select>
      </div>
    </form>
  );
}
