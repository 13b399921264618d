import { useId } from 'react';
import { useQuery } from 'urql';
import { graphql } from '../../gql';

const CLASSES = graphql(`
  query DatasetClasses {
    datasets(first: 100) {
      nodes {
        id
        name
        version
        status
        classNames
      }
    }
  }
`);

/** Takes the names from a data set, since a model that trains on it needs the same. */
export function ClassNamesOf({ onNames }: { onNames: (names: readonly string[]) => void }) {
  const id = useId();
  const [{ data }] = useQuery({ query: CLASSES, requestPolicy: 'cache-and-network' });
  const ready = data?.datasets.nodes.filter(({ status }) => status === 'READY') ?? [];
  if (ready.length === 0) return null;
  return (
    <div className="beside">
      <label htmlFor={id}>… or those of a data set</label>
      <select
        id={id}
        value=""
        onChange={({ target }) => {
          const chosen = ready.find((dataset) => dataset.id === target.value);
          if (chosen) onNames(chosen.classNames);
        }}
      >
        <option value="">choose one</option>
        {ready.map(({ id, name, version, classNames }) => (
          <option key={id} value={id}>{name}@{version} ({classNames.length} classes)</option>
        ))}
      </select>
    </div>
  );
}
