import { startTransition, useEffect, useEffectEvent, useOptimistic, useState } from 'react';
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
      {(['model', 'tag'] as const).map((name) => (
        <TextFilter key={name} name={name} value={address.get(name) ?? ''} onValue={(text) => set(name, text)} />
      ))}
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

const TYPING_MS = 300;

function TextFilter({ name, value, onValue }: {
  name: 'model' | 'tag';
  value: string;
  onValue: (text: string) => void;
}) { // prettier-ignore
  const [text, setText] = useState(value);
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    // The address changed by another hand: back and forth through the history.
    setSeen(value);
    setText(value);
  }
  const commit = useEffectEvent(() => onValue(text.trim()));
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => commit(), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <div>
      <label htmlFor={`filter-${name}`}>{name === 'model' ? 'Model' : 'Tag'}</label>
      <input id={`filter-${name}`} type="search" value={text} onChange={({ target }) => setText(target.value)} />
    </div>
  );
}
