import { Link, useNavigate, useParams, useSearchParams } from 'react-router';
import { useMutation, useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import type { DatasetQuery } from '../gql/graphql';
import { ConfirmButton } from '../parts/confirm-button';
import { age, bytes, count, decimal, imageSize } from '../parts/figures';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { Status } from '../parts/status';
import { usePoll } from '../parts/use-poll';
import { ClassBalance } from './dataset/class-balance';
import { Problems } from './dataset/problems';
import { Samples } from './dataset/samples';

const DATASET = graphql(`
  query Dataset($name: String!, $version: Int) {
    latest: dataset(name: $name) {
      id
      version
    }
    dataset(name: $name, version: $version) {
      id
      name
      version
      format
      status
      description
      problems
      createdAt
      bytes
      sha256
      channelMean
      channelStd
      classNames
      imageShape {
        height
        width
        channels
      }
      train: size(split: TRAIN)
      test: size(split: TEST)
      trainCounts: classCounts(split: TRAIN)
      testCounts: classCounts(split: TEST)
    }
  }
`);

const DELETE = graphql(`
  mutation DeleteDataset($name: String!, $version: Int!) {
    deleteDataset(name: $name, version: $version)
  }
`);

const WAIT_MS = 1_000;

export function Dataset() {
  const { name = '' } = useParams();
  const [params] = useSearchParams();
  const asked = Number(params.get('version')) || null;
  const [{ data, error, fetching }, ask] = useQuery({
    query: DATASET,
    variables: { name, version: asked },
    requestPolicy: 'cache-and-network',
  });
  const [removal, remove] = useMutation(DELETE);
  const navigate = useNavigate();
  const dataset = data?.dataset;
  usePoll(() => ask({ requestPolicy: 'network-only' }), WAIT_MS, dataset?.status === 'VALIDATING');

  async function deleteIt(version: number) {
    const { error: refusal } = await remove({ name, version });
    if (!refusal) await navigate('/datasets');
  }
  return (
    <Page title={dataset ? `${name}@${dataset.version}` : name} actions={dataset && <Actions of={dataset} onDelete={deleteIt} />}>
      <ProblemNote problem={problemOf(error ?? removal.error)} />
      {!data && fetching && <p className="hint">Loading …</p>}
      {data && !data.latest && <p>There is no data set {name}. <Link to="/datasets">All data sets</Link></p>}
      {data?.latest && <VersionLinks name={name} latest={data.latest.version} shown={asked ?? data.latest.version} />}
      {data?.latest && !dataset && <p>There is no version {asked} of {name}, or it was deleted.</p>}
      {dataset && <Facts of={dataset} />}
      {dataset?.status === 'INVALID' && <Problems of={dataset.problems} />}
      {dataset?.status === 'READY' && (
        <>
          <ClassBalance classNames={dataset.classNames} train={dataset.trainCounts} test={dataset.testCounts} />
          <Samples key={dataset.id} name={name} version={dataset.version} />
        </>
      )}
    </Page>
  );
}

type DatasetParts = NonNullable<DatasetQuery['dataset']>;

function Actions({ of: { name, version, status }, onDelete }: {
  of: DatasetParts;
  onDelete: (version: number) => void;
}) { // prettier-ignore
  return (
    <>
      {status === 'READY' && <Link className="button primary" to={`/runs/new?dataset=${name}@${version}`}>Train on it</Link>}
      {status === 'READY' && <Link className="button" to={`/predict?dataset=${name}@${version}`}>Predict</Link>}
      <ConfirmButton label="Delete version" question={`Delete ${name}@${version}?`} onConfirm={() => onDelete(version)}>
        <p>Its images go with it. It is refused while a run uses it.</p>
      </ConfirmButton>
    </>
  );
}

/** So many of the newest are offered. */
const OFFERED = 12;

function VersionLinks({ name, latest, shown }: { name: string; latest: number; shown: number }) {
  if (latest === 1) return null;
  const versions = Array.from({ length: Math.min(latest, OFFERED) }, (_, index) => latest - index);
  return (
    <nav className="chips" aria-label="Versions">
      {versions.map((version) => (
        <Link
          key={version}
          className="chip"
          aria-current={version === shown ? 'page' : undefined}
          to={`/datasets/${name}?version=${version}`}
        >
          Version {version}
        </Link>
      ))}
    </nav>
  );
}

const figures = (values: readonly number[] | null | undefined): string =>
  values?.map((value) => decimal(value, 3)).join(', ') ?? '–';

function Facts({ of: dataset }: { of: DatasetParts }) {
  const { description, format, status, imageShape, train, test, classNames, createdAt } = dataset;
  return (
    <section className="card" aria-label="Facts">
      {description && <p>{description}</p>}
      <dl className="facts">
        <div><dt>State</dt><dd><Status of={status} /></dd></div>
        <div><dt>Format</dt><dd>{format.replaceAll('_', ' ')}</dd></div>
        {imageShape && (
          <>
            <div><dt>Images</dt><dd>{imageSize(imageShape)}</dd></div>
            <div><dt>Train</dt><dd>{count(train)} images</dd></div>
            <div><dt>Test</dt><dd>{count(test)} images</dd></div>
            <div><dt>Classes</dt><dd>{classNames.length}</dd></div>
            <div><dt>Size</dt><dd>{bytes(dataset.bytes)}</dd></div>
            <div><dt>Mean by channel</dt><dd>{figures(dataset.channelMean)}</dd></div>
            <div><dt>Deviation by channel</dt><dd>{figures(dataset.channelStd)}</dd></div>
          </>
        )}
        <div><dt>Uploaded</dt><dd>{age(createdAt)} ago</dd></div>
      </dl>
      {status === 'AWAITING_UPLOAD' && <p className="hint">Its files were not sent to the end.</p>}
      {dataset.sha256 && <p className="hint">SHA-256 <code className="hash">{dataset.sha256}</code></p>}
    </section>
  );
}
