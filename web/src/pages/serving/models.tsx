import { Link } from 'react-router';
import type { ServingQuery } from '../../gql/graphql';
import { age, bytes, count } from '../../parts/figures';
import { Status } from '../../parts/status';

export function Models({ models }: { models: ServingQuery['servingStats']['models'] }) {
  return (
    <section className="card" aria-label="Models in memory">
      <h2>Models in memory</h2>
      {models.length === 0 && <p>None: the first prediction loads one.</p>}
      <ul className="rows">
        {models.map((model) => {
          const name = `${model.version.model.name}:${model.version.version}${model.int8 ? '#int8' : ''}`;
          return (
            <li key={name}>
              <div className="row-head">
                <Link className="name" to={`/models/${model.version.model.name}`}>{name}</Link> <Status of={model.state} />
                <span className="hint">{model.reason}</span>
              </div>
              <dl className="facts">
                <div><dt>Memory</dt><dd>{bytes(model.bytes)}</dd></div>
                <div><dt>Requests</dt><dd>{count(model.requests)}</dd></div>
                <div><dt>Last used</dt><dd>{age(model.lastUsedAt)} ago</dd></div>
              </dl>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
