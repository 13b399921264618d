import { useMemo, useState, type FormEvent, type ReactNode } from 'react';
import { gql, Provider } from 'urql';
import { createClient } from '../api/client';
import { forgetKey, keepKey, readKey } from '../api/key';
import { problemOf, type Problem } from '../api/problem';
import { ProblemNote } from './problem-note';

/** The least that every key may ask. */
const KNOCK = gql`
  query Knock {
    __typename
    models(first: 1) {
      totalCount
    }
  }
`;

/** Asks for the key once and shows `children` to whoever has one. */
export function KeyGate({ children }: { children: (leave: () => void) => ReactNode }) {
  const [key, setKey] = useState(readKey);
  const client = useMemo(() => key && createClient(key), [key]);
  if (!client) return <KeyForm onKey={(given) => (keepKey(given), setKey(given))} />;
  return <Provider value={client}>{children(() => (forgetKey(), setKey(null)))}</Provider>;
}

function KeyForm({ onKey }: { onKey: (key: string) => void }) {
  const [problem, setProblem] = useState<Problem>();
  const [asking, setAsking] = useState(false);

  async function tryKey(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget).get('key')).trim();
    setAsking(true);
    const { error } = await createClient(key).query(KNOCK, {}).toPromise();
    setAsking(false);
    const found = problemOf(error);
    if (found) setProblem(found);
    else onKey(key);
  }

  return (
    <main className="gate">
      <h1>residual</h1>
      <form onSubmit={tryKey}>
        <label htmlFor="key">API key</label>
        <input id="key" name="key" type="password" autoComplete="off" required autoFocus aria-describedby="key-hint" />
        <p id="key-hint" className="hint">
          <code>npm start</code> and <code>npm run demo</code> print it. It is kept in this tab alone.
        </p>
        <ProblemNote problem={problem} />
        <button type="submit" disabled={asking}>Enter</button>
      </form>
    </main>
  );
}
