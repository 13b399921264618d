import { useState } from 'react';
import { count, percent } from '../../parts/figures';

/** A list of a thousand classes is opened when it is wanted. */
const SHOWN = 20;

/** How many images each class has, as bars on one scale for each split. */
export function ClassBalance({ classNames, train, test }: {
  classNames: readonly string[];
  train: readonly number[];
  test: readonly number[];
}) { // prettier-ignore
  const [showsAll, setShowsAll] = useState(false);
  const shown = showsAll ? classNames : classNames.slice(0, SHOWN);
  return (
    <section className="card" aria-label="Class balance">
      <h2>Class balance</h2>
      <table className="balance">
        <thead>
          <tr><th scope="col">Class</th><th scope="col">Train</th><th scope="col">Test</th></tr>
        </thead>
        <tbody>
          {shown.map((name, label) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td><Bar value={train[label] ?? 0} of={train} /></td>
              <td><Bar value={test[label] ?? 0} of={test} /></td>
            </tr>
          ))}
        </tbody>
      </table>
      {classNames.length > SHOWN && (
        <button type="button" onClick={() => setShowsAll(!showsAll)}>
          {showsAll ? `The first ${SHOWN} alone` : `All ${classNames.length} classes`}
        </button>
      )}
    </section>
  );
}

function Bar({ value, of }: { value: number; of: readonly number[] }) {
  const largest = Math.max(1, ...of);
  const total = of.reduce((sum, each) => sum + each, 0);
  return (
    <span className="bar-of" title={percent(value / Math.max(1, total))}>
      <span className="bar-track"><span className="bar-line" style={{ width: `${(100 * value) / largest}%` }} /></span>
      <span className="bar-value">{count(value)}</span>
    </span>
  );
}
