import { useCallback, useMemo, useState, type FormEvent, type ReactNode } from 'react';
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

/** Asks for the key once, and again when the API does not take it any more; shows `children` to whoever has one. */
export function KeyGate({ children }: { children: (leave: () => void) => ReactNode }) {
  const [key, setKey] = useState(readKey);
  const [problem, setProblem] = useState<Problem>();
  const leave = useCallback((refusal?: Problem) => {
    forgetKey();
    setProblem(refusal);
    setKey(null);
  }, []);
  const client = useMemo(() => key && createClient(key, leave), [key, leave]);

  async function tryKey(given: string) {
    const { error } = await createClient(given).query(KNOCK, {}).toPromise();
    if (error) return setProblem(problemOf(error));
    keepKey(given);
    setKey(given);
  }
  if (!client) return <KeyForm problem={problem} onKey={tryKey} />;
  return <Provider value={client}>{children(() => leave())}</Provider>;
}

function KeyForm({ problem, onKey }: { problem: Problem | undefined; onKey: (key: string) => Promise<void> }) {
  const [asking, setAsking] = useState(false);

  async function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    const key = String(new FormData(event.currentTarget).get('key')).trim();
    setAsking(true);
    await onKey(key);
    setAsking(false);
  }

  return (
    <main className="gate">
      <h1>residual</h1>
      <form onSubmit={submit}>
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
