import { Link } from 'react-router';
import { useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import type { DatasetsQuery } from '../gql/graphql';
import { age, bytes, count, imageSize } from '../parts/figures';
import { Page } from '../parts/page';
import { Pager, usePageArguments } from '../parts/pager';
import { ProblemNote } from '../parts/problem-note';
import { Status } from '../parts/status';
import { usePoll } from '../parts/use-poll';
import { Upload } from './datasets/upload';

const DATASETS = graphql(`
  query Datasets($first: Int, $after: String, $last: Int, $before: String) {
    datasets(first: $first, after: $after, last: $last, before: $before) {
      totalCount
      pageInfo { ...PageEnds }
      nodes {
        id
        name
        version
        format
        status
        createdAt
        bytes
        classNames
        imageShape {
          height
          width
          channels
        }
        train: size(split: TRAIN)
        test: size(split: TEST)
      }
    }
  }
`);

const WAIT_MS = 2_000;

export function Datasets() {
  const [{ data, error, fetching }, ask] = useQuery({
    query: DATASETS,
    variables: usePageArguments(),
    requestPolicy: 'cache-and-network',
  });
  const refresh = () => ask({ requestPolicy: 'network-only' });
  const datasets = data?.datasets;
  usePoll(refresh, WAIT_MS, datasets?.nodes.some(({ status }) => status === 'VALIDATING') ?? false);
  return (
    <Page title="Data sets">
      <Upload onDone={refresh} />
      <ProblemNote problem={problemOf(error)} />
      {fetching && !datasets && <p className="hint">Loading …</p>}
      {datasets?.nodes.length === 0 && <p>No data set yet.</p>}
      {datasets && datasets.nodes.length > 0 && (
        <section className="card" aria-label="Data sets">
          <ul className="rows">
            {datasets.nodes.map((dataset) => <DatasetRow key={dataset.id} dataset={dataset} />)}
          </ul>
          <Pager of={datasets} noun="data set" />
        </section>
      )}
    </Page>
  );
}

function DatasetRow({ dataset }: { dataset: DatasetsQuery['datasets']['nodes'][number] }) {
  const { name, version, format, status, createdAt, bytes: size, classNames, imageShape, train, test } = dataset;
  return (
    <li>
      <div className="row-head">
        <Link className="name" to={`/datasets/${name}?version=${version}`}>{name}@{version}</Link> <Status of={status} />
      </div>
      <dl className="facts">
        <div><dt>Format</dt><dd>{format.replaceAll('_', ' ')}</dd></div>
        {imageShape && (
          <>
            <div><dt>Images</dt><dd>{imageSize(imageShape)}</dd></div>
            <div><dt>Train, test</dt><dd>{count(train)}, {count(test)}</dd></div>
            <div><dt>Classes</dt><dd>{classNames.length}</dd></div>
            <div><dt>Size</dt><dd>{bytes(size)}</dd></div>
          </>
        )}
        <div><dt>Uploaded</dt><dd>{age(createdAt)} ago</dd></div>
      </dl>
    </li>
  );
}
