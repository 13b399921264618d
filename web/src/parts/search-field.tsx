import { useEffect, useEffectEvent, useId, useState } from 'react';

const TYPING_MS = 300;

interface SearchFieldProps {
  readonly label: string;
  readonly value: string;
  /** Told of a text, without spaces around it, once one has stopped writing. */
  readonly onValue: (text: string) => void;
}

/** Searches while one writes. */
export function SearchField({ label, value, onValue }: SearchFieldProps) {
  const id = useId();
  const [text, setText] = useState(value);
  const [seen, setSeen] = useState(value);
  if (seen !== value) {
    // It changed by another hand: back and forth through the history.
    setSeen(value);
    if (text.trim() !== value) setText(value);
  }
  const commit = useEffectEvent(() => onValue(text.trim()));
  useEffect(() => {
    if (text.trim() === value) return;
    const timer = setTimeout(() => commit(), TYPING_MS);
    return () => clearTimeout(timer);
  }, [text, value]);
  return (
    <div>
      <label htmlFor={id}>{label}</label>
      <input id={id} type="search" value={text} onChange={({ target }) => setText(target.value)} />
    </div>
  );
}
