import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { count, decimal, duration, percent } from '../../parts/figures';
import { Status } from '../../parts/status';
import { Wide } from '../../parts/wide';
import type { Compared } from '../compare';
import { showSetting } from '../run/config';

type Run = Compared['runs'][number];

const RESULTS: readonly (readonly [string, (run: Run) => ReactNode])[] = [
  ['Status', ({ status }) => <Status of={status} />],
  ['Model', ({ model }) => model.name],
  ['Data set', ({ dataset }) => `${dataset.name}@${dataset.version}`],
  ['Test accuracy', ({ evaluation }) => percent(evaluation?.accuracy, 2)],
  ['Test loss', ({ evaluation }) => decimal(evaluation?.loss)],
  ['Epochs', ({ epoch }) => epoch],
  ['Images/s', ({ history }) => count(history.at(-1)?.imagesPerSecond)],
  ['Time taken', ({ startedAt, finishedAt }) => duration(secondsBetween(startedAt, finishedAt))],
];

/** What came out, and the settings in which the runs are not the same. */
export function Comparison({ of: { runs, differences } }: { of: Compared }) {
  return (
    <section className="card">
      <h2>Results and settings that differ</h2>
      <Wide label="Comparison">
        <table className="compared">
          <thead>
            <tr>
              <td />
              {runs.map(({ id, number }) => (
                <th key={id} scope="col"><Link to={`/runs/${id}`}>Run {number}</Link></th>
              ))}
            </tr>
          </thead>
          <tbody>
            {RESULTS.map(([name, show]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                {runs.map((run) => <td key={run.id}>{show(run)}</td>)}
              </tr>
            ))}
          </tbody>
          <tbody className="differences">
            {differences.map(({ path, values }) => (
              <tr key={path}>
                <th scope="row"><code>{path}</code></th>
                {runs.map(({ id }, place) => <td key={id}>{showSetting(values[place])}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      {differences.length === 0 && <p className="hint">Their settings are the same.</p>}
    </section>
  );
}

function secondsBetween(start: string | null | undefined, end: string | null | undefined): number | undefined {
  return start == null || end == null ? undefined : (Date.parse(end) - Date.parse(start)) / 1000;
}
