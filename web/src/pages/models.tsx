import { Link, useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import type { ModelsQuery } from '../gql/graphql';
import { age, count, imageSize, percent } from '../parts/figures';
import { Page } from '../parts/page';
import { Pager, usePageArguments } from '../parts/pager';
import { ProblemNote } from '../parts/problem-note';
import { SearchField } from '../parts/search-field';

const MODELS = graphql(`
  query Models($search: String, $first: Int, $after: String, $last: Int, $before: String) {
    models(search: $search, first: $first, after: $after, last: $last, before: $before) {
      totalCount
      pageInfo { ...PageEnds }
      nodes {
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
          preset
          depth
          parameters
        }
        versions(first: 1) {
          totalCount
          nodes {
            version
            evaluation {
              accuracy
            }
          }
        }
      }
    }
  }
`);

export function Models() {
  const [params, setParams] = useSearchParams();
  const search = params.get('search');
  const seek = (text: string) => setParams(text === '' ? {} : { search: text }, { replace: true });
  const [{ data, error, fetching }] = useQuery({
    query: MODELS,
    variables: { ...usePageArguments(), search },
    requestPolicy: 'cache-and-network',
  });
  const models = data?.models;
  return (
    <Page title="Models" actions={<Link className="button primary" to="/models/new">Define a model</Link>}>
      <div className="search">
        <SearchField label="Search by name or description" value={search ?? ''} onValue={seek} />
      </div>
      <ProblemNote problem={problemOf(error)} />
      {fetching && !models && <p className="hint">Loading …</p>}
      {models && (models.nodes.length > 0 ? <ModelList models={models} /> : <NoModels search={search} />)}
    </Page>
  );
}

function NoModels({ search }: { search: string | null }) {
  if (search) return <p>No model has “{search}” in its name or description.</p>;
  return <p>No model yet. <Link to="/models/new">Define one</Link> from a preset.</p>;
}

function ModelList({ models }: { models: ModelsQuery['models'] }) {
  return (
    <section className="card" aria-label="Models">
      <ul className="rows">
        {models.nodes.map((model) => <ModelRow key={model.name} model={model} />)}
      </ul>
      <Pager of={models} noun="model" />
    </section>
  );
}

function ModelRow({ model }: { model: ModelsQuery['models']['nodes'][number] }) {
  const { name, description, classNames, inputShape, architecture, versions, createdAt } = model;
  const [latest] = versions.nodes;
  return (
    <li>
      <div>
        <Link className="name" to={`/models/${name}`}>{name}</Link>
        {description && <p className="hint">{description}</p>}
      </div>
      <dl className="facts">
        <div><dt>Network</dt><dd>{architecture.preset ?? 'own'}, {architecture.depth} layers</dd></div>
        <div><dt>Parameters</dt><dd>{count(architecture.parameters)}</dd></div>
        <div><dt>Images</dt><dd>{imageSize(inputShape)}; {classNames.length} classes</dd></div>
        <div>
          <dt>Versions</dt>
          <dd>{versions.totalCount}{latest?.evaluation && `, latest ${percent(latest.evaluation.accuracy)}`}</dd>
        </div>
        <div><dt>Defined</dt><dd>{age(createdAt)} ago</dd></div>
      </dl>
    </li>
  );
}
