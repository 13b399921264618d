import { Link } from 'react-router';
import { age, count, duration, percent } from '../../parts/figures';
import { Status } from '../../parts/status';
import { useNow } from '../../parts/use-now';
import { Wide } from '../../parts/wide';
import type { RunRow } from './live-runs';

/** As many as the API lays side by side. */
export const MOST_COMPARED = 8;
const AGE_EVERY_MS = 5_000;

interface RunTableProps {
  readonly rows: readonly RunRow[];
  /** Ids. */
  readonly chosen: ReadonlySet<string>;
  readonly onChoose: (id: string, choose: boolean) => void;
}

export function RunTable({ rows, chosen, onChoose }: RunTableProps) {
  useNow(AGE_EVERY_MS);
  return (
    <Wide label="Runs">
      <table className="runs">
        <thead>
          <tr>
            <th scope="col"><span className="for-screen-readers">Compare</span></th>
            <th scope="col">Run</th>
            <th scope="col">Status</th>
            <th scope="col">Model</th>
            <th scope="col">Progress</th>
            <th scope="col" className="number">Accuracy</th>
            <th scope="col">Data set</th>
            <th scope="col" className="number">Images/s</th>
            <th scope="col" className="number">Age</th>
            <th scope="col">Tags</th>
          </tr>
        </thead>
        <tbody>
          {rows.map((run) => (
            <Row
              key={run.id}
              run={run}
              isChosen={chosen.has(run.id)}
              isFull={chosen.size >= MOST_COMPARED}
              onChoose={onChoose}
            />
          ))}
        </tbody>
      </table>
    </Wide>
  );
}

function Row({ run, isChosen, isFull, onChoose }: {
  run: RunRow;
  isChosen: boolean;
  isFull: boolean;
  onChoose: RunTableProps['onChoose'];
}) { // prettier-ignore
  const last = run.history.at(-1);
  return (
    <tr>
      <td>
        <input
          type="checkbox"
          aria-label={`Compare run ${run.number}`}
          checked={isChosen}
          disabled={isFull && !isChosen}
          onChange={({ target }) => onChoose(run.id, target.checked)}
        />
      </td>
      <th scope="row"><Link to={`/runs/${run.id}`}>Run {run.number}</Link></th>
      <td><Status of={run.status} /></td>
      <td><Link to={`/models/${run.model.name}`}>{run.model.name}</Link></td>
      <td className="progress"><Progress run={run} /></td>
      <td className="number"><Accuracy run={run} /></td>
      <td><Link to={`/datasets/${run.dataset.name}?version=${run.dataset.version}`}>{run.dataset.name}@{run.dataset.version}</Link></td>
      <td className="number">{count(last?.imagesPerSecond)}</td>
      <td className="number">{age(run.createdAt)}</td>
      <td>{run.tags.join(', ')}</td>
    </tr>
  );
}

function Progress({ run: { number, progress, status, etaSeconds } }: { run: RunRow }) {
  return (
    <>
      <progress value={progress} aria-label={`Progress of run ${number}`} />
      <span className="hint">
        {percent(progress, 0)}
        {status === 'RUNNING' && etaSeconds != null && `, ${duration(etaSeconds)} left`}
      </span>
    </>
  );
}

/** Of the evaluation on TEST; until then of the last epoch's validation, which is said. */
function Accuracy({ run: { evaluation, history } }: { run: RunRow }) {
  const validation = history.at(-1)?.validationAccuracy;
  if (evaluation || validation === undefined) return percent(evaluation?.accuracy, 2);
  return (
    <>
      {percent(validation, 2)} <span className="hint">val.</span>
    </>
  );
}
