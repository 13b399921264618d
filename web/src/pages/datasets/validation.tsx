import { useEffect, useEffectEvent } from 'react';
import { Link } from 'react-router';
import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import { count } from '../../parts/figures';
import { ProblemNote } from '../../parts/problem-note';
import { Status } from '../../parts/status';
import { usePoll } from '../../parts/use-poll';
import { Problems } from '../dataset/problems';

const VALIDATION = graphql(`
  query DatasetValidation($name: String!, $version: Int!) {
    dataset(name: $name, version: $version) {
      id
      status
      problems
      train: size(split: TRAIN)
      test: size(split: TEST)
      classNames
    }
  }
`);

const WAIT_MS = 500;

/** Follows what becomes of an upload until it is READY or its problems are known. */
export function Validation({ name, version, onEnd }: { name: string; version: number; onEnd: () => void }) {
  const variables = { name, version };
  const [{ data, error }, ask] = useQuery({ query: VALIDATION, variables, requestPolicy: 'network-only' });
  const dataset = data?.dataset;
  const isOver = dataset?.status === 'READY' || dataset?.status === 'INVALID';
  const end = useEffectEvent(onEnd);
  usePoll(() => ask({ requestPolicy: 'network-only' }), WAIT_MS, !isOver);
  useEffect(() => {
    if (isOver) end();
  }, [isOver]);
  return (
    <div role="status">
      <ProblemNote problem={problemOf(error)} />
      {dataset && <p><Status of={dataset.status} /></p>}
      {dataset?.status === 'READY' && (
        <p>
          {count(dataset.train)} images to train and {count(dataset.test)} to test, of{' '}
          {dataset.classNames.length} classes.{' '}
          <Link to={`/datasets/${name}?version=${version}`}>See {name}@{version}</Link>
        </p>
      )}
      {dataset?.status === 'INVALID' && <Problems of={dataset.problems} />}
    </div>
  );
}
