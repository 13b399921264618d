import { Link, useNavigate, useParams } from 'react-router';
import { useMutation, useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import type { ModelQuery } from '../gql/graphql';
import { ArchitectureSummary } from '../parts/architecture-summary';
import { ConfirmButton } from '../parts/confirm-button';
import { age, imageSize, percent } from '../parts/figures';
import { NewestOf } from '../parts/newest-of';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { Status } from '../parts/status';
import { Wide } from '../parts/wide';
import { usePoll } from '../parts/use-poll';
import { ServingForm } from './model/serving-form';
import { Versions } from './model/versions';

const MODEL = graphql(`
  query Model($name: String!) {
    model(name: $name) {
      id
      name
      description
      createdAt
      classNames
      inputShape {
        height
        width
        channels
      }
      architecture {
        ...ArchitectureParts
      }
      serving {
        maxBatch
        maxDelayMs
        maxQueue
      }
      aliases {
        name
        version {
          version
        }
      }
      versions(first: 50) {
        totalCount
        nodes {
          ...VersionParts
        }
      }
      runs(first: 10) {
        totalCount
        nodes {
          id
          number
          status
          createdAt
          epoch
          dataset {
            name
            version
          }
          evaluation {
            accuracy
          }
        }
      }
    }
  }
`);

const DELETE = graphql(`
  mutation DeleteModel($name: String!) {
    deleteModel(name: $name)
  }
`);

const WAIT_MS = 2_000;

export function Model() {
  const { name = '' } = useParams();
  const [{ data, error, fetching }, ask] = useQuery({
    query: MODEL,
    variables: { name },
    requestPolicy: 'cache-and-network',
  });
  const [removal, remove] = useMutation(DELETE);
  const navigate = useNavigate();
  const refresh = () => ask({ requestPolicy: 'network-only' });
  const model = data?.model;
  usePoll(refresh, WAIT_MS, isChanging(model));

  async function deleteIt() {
    const { error: refusal } = await remove({ name });
    if (!refusal) await navigate('/models');
  }
  return (
    <Page title={name} actions={model && <Actions model={model} onDelete={deleteIt} />}>
      <ProblemNote problem={problemOf(error ?? removal.error)} />
      {!model && fetching && <p className="hint">Loading …</p>}
      {data && !model && <p>There is no model {name}. <Link to="/models">All models</Link></p>}
      {model && (
        <>
          <Versions model={model} onChange={refresh} />
          <Runs model={model} />
          <section className="card" aria-label="Network">
            <h2>{model.architecture.preset ?? 'Network'}</h2>
            <Facts model={model} />
            <ArchitectureSummary of={model.architecture} />
          </section>
          <ServingForm key={model.id} model={model.name} settings={model.serving} onChange={refresh} />
        </>
      )}
    </Page>
  );
}

type ModelParts = NonNullable<ModelQuery['model']>;

/** A run or a quantisation is under way, of which the page is to show the end. */
const isChanging = (model: ModelParts | null | undefined): boolean =>
  model != null &&
  (model.versions.nodes.some(({ quantization }) => quantization?.status === 'PENDING') ||
    model.runs.nodes.some(({ status }) => status === 'RUNNING' || status === 'QUEUED'));

function Actions({ model, onDelete }: { model: ModelParts; onDelete: () => void }) {
  const { name, versions, runs } = model;
  return (
    <>
      <Link className="button primary" to={`/runs/new?model=${name}`}>Train</Link>
      {versions.totalCount > 0 && <Link className="button" to={`/predict?model=${name}`}>Predict</Link>}
      <ConfirmButton label="Delete model" question={`Delete ${name}?`} onConfirm={onDelete}>
        <p>Its {versions.totalCount} versions and {runs.totalCount} runs go with it.</p>
      </ConfirmButton>
    </>
  );
}

function Facts({ model }: { model: ModelParts }) {
  const { description, inputShape, classNames, createdAt } = model;
  return (
    <>
      {description && <p>{description}</p>}
      <dl className="facts">
        <div><dt>Images</dt><dd>{imageSize(inputShape)}</dd></div>
        <div><dt>Classes</dt><dd>{classNames.length}</dd></div>
        <div><dt>Defined</dt><dd>{age(createdAt)} ago</dd></div>
      </dl>
      <details>
        <summary>The {classNames.length} classes by name</summary>
        <p className="names">{classNames.join(', ')}</p>
      </details>
    </>
  );
}

function Runs({ model: { name, runs } }: { model: ModelParts }) {
  return (
    <section className="card" aria-label="Runs">
      <h2>Runs</h2>
      {runs.totalCount === 0 && <p>None yet. <Link to={`/runs/new?model=${name}`}>Start one</Link></p>}
      {runs.totalCount > 0 && (
        <Wide label="The newest runs">
          <table>
            <thead>
              <tr>
                <th scope="col">Run</th><th scope="col">State</th><th scope="col">Data set</th>
                <th scope="col" className="number">Epochs</th><th scope="col" className="number">Accuracy</th>
                <th scope="col" className="number">Age</th>
              </tr>
            </thead>
            <tbody>
              {runs.nodes.map((run) => (
                <tr key={run.id}>
                  <td><Link to={`/runs/${run.id}`}>#{run.number}</Link></td>
                  <td><Status of={run.status} /></td>
                  <td>{run.dataset.name}@{run.dataset.version}</td>
                  <td className="number">{run.epoch}</td>
                  <td className="number">{percent(run.evaluation?.accuracy)}</td>
                  <td className="number">{age(run.createdAt)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </Wide>
      )}
      <NewestOf all={runs} />
    </section>
  );
}
