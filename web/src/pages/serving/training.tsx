import { Link } from 'react-router';
import type { ServingQuery } from '../../gql/graphql';
import { age } from '../../parts/figures';
import { Status } from '../../parts/status';

/* What is trained beside what is served. */

export function Queue({ queue }: { queue: ServingQuery['queueStats'] }) {
  return (
    <section className="card" aria-label="Training queue">
      <h2>Training queue</h2>
      <dl className="facts">
        <div><dt>Waiting</dt><dd>{queue.waiting}</dd></div>
        <div><dt>Running</dt><dd>{queue.active}</dd></div>
        <div><dt>Paused</dt><dd>{queue.paused}</dd></div>
        <div><dt>Failed</dt><dd>{queue.failed}</dd></div>
      </dl>
    </section>
  );
}

export function Workers({ workers }: { workers: ServingQuery['workers'] }) {
  return (
    <section className="card" aria-label="Workers">
      <h2>Workers</h2>
      {workers.length === 0 && <p>None was seen within a day: nothing trains until one starts.</p>}
      <ul className="rows">
        {workers.map(({ id, online, engine, device, host, lastSeenAt, currentRun }) => (
          <li key={id}>
            <div className="row-head">
              <span className="name">{host}</span> <Status of={online ? 'ONLINE' : 'OFFLINE'} />
            </div>
            <dl className="facts">
              <div><dt>Engine</dt><dd>{engine}</dd></div>
              <div><dt>Device</dt><dd>{device}</dd></div>
              <div>
                <dt>Trains</dt>
                <dd>{currentRun ? <Link to={`/runs/${currentRun.id}`}>run #{currentRun.number}</Link> : 'nothing'}</dd>
              </div>
              <div><dt>Heard of</dt><dd>{age(lastSeenAt)} ago</dd></div>
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}
