import { useEffect, useId, useState } from 'react';
import { useSearchParams } from 'react-router';

const PAUSE_MS = 250;

/** Searches while one writes; what is searched for stands in the address, as `search`. */
export function SearchField({ label }: { label: string }) {
  const id = useId();
  const [params, setParams] = useSearchParams();
  const sought = params.get('search') ?? '';
  const [text, setText] = useState(sought);
  useEffect(() => {
    if (text === sought) return;
    const pause = setTimeout(() => setParams(text === '' ? {} : { search: text }, { replace: true }), PAUSE_MS);
    return () => clearTimeout(pause);
  }, [text, sought, setParams]);
  return (
    <div className="search">
      <label htmlFor={id}>{label}</label>
      <input id={id} type="search" value={text} onChange={({ target }) => setText(target.value)} />
    </div>
  );
}
