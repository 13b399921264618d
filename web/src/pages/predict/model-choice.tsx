import { useId } from 'react';
import { Link } from 'react-router';
import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { ServableModelQuery } from '../../gql/graphql';
import { ProblemNote } from '../../parts/problem-note';

const MODELS = graphql(`
  query ServableModels {
    models(first: 100) {
      nodes {
        name
        versions(first: 1) {
          totalCount
        }
      }
    }
  }
`);

const MODEL = graphql(`
  query ServableModel($name: String!) {
    model(name: $name) {
      name
      aliases {
        name
        version {
          version
        }
      }
      versions(first: 100) {
        nodes {
          version
          artifacts {
            kind
          }
          evaluation {
            accuracy
          }
          run {
            dataset {
              name
              version
            }
          }
        }
      }
    }
  }
`);

export interface Choice {
  readonly model: string;
  /** A number, `latest`, an alias, or nothing: what the bare name means. */
  readonly ref: string;
  readonly int8: boolean;
}

/** As `predict` takes it: name:3, name@alias, name#int8 */
export function referenceOf({ model, ref, int8 }: Choice): string {
  const mark = /^(\d+|latest)$/.test(ref) ? ':' : '@';
  return `${model}${ref && mark + ref}${int8 ? '#int8' : ''}`;
}

/** Names of the models that have a version. */
export function useServableModels() {
  const [{ data, error }] = useQuery({ query: MODELS, requestPolicy: 'cache-and-network' });
  const names = data?.models.nodes.filter(({ versions }) => versions.totalCount > 0).map(({ name }) => name);
  return { names, problem: problemOf(error) };
}

export function useServableModel(name: string) {
  const variables = { name };
  const [{ data }] = useQuery({ query: MODEL, variables, pause: name === '', requestPolicy: 'cache-and-network' });
  return data?.model?.name === name ? data.model : undefined;
}

type ServableModel = NonNullable<ServableModelQuery['model']>;

/** The version that a reference means, as the API resolves it. */
export function versionOf({ versions, aliases }: ServableModel, ref: string) {
  const pointed = aliases.find(({ name }) => name === (ref || 'production'))?.version.version;
  const [latest] = versions.nodes;
  const number = /^\d+$/.test(ref) ? Number(ref) : (pointed ?? latest?.version);
  return versions.nodes.find(({ version }) => version === number);
}

export function ModelChoice({ names, model, choice, onChoice }: {
  names: readonly string[];
  model: ServableModel | undefined;
  choice: Choice;
  onChoice: (choice: Choice) => void;
}) { // prettier-ignore
  const id = useId();
  const hasInt8 = model && versionOf(model, choice.ref)?.artifacts.some(({ kind }) => kind === 'ONNX_INT8');
  const hasProduction = model?.aliases.some(({ name }) => name === 'production');
  const offered = names.includes(choice.model) || !choice.model ? names : [choice.model, ...names];
  return (
    <div className="fields">
      <div className="field">
        <label htmlFor={`${id}-model`}>Model</label>
        <select
          id={`${id}-model`}
          value={choice.model}
          onChange={({ target }) => onChoice({ model: target.value, ref: '', int8: false })}
        >
          {offered.map((name) => <option key={name}>{name}</option>)}
        </select>
      </div>
      <div className="field">
        <label htmlFor={`${id}-ref`}>Version</label>
        <select
          id={`${id}-ref`}
          value={choice.ref}
          onChange={({ target }) => onChoice({ ...choice, ref: target.value, int8: false })}
        >
          <option value="">{hasProduction ? 'production' : 'latest'} (default)</option>
          {model?.aliases.map(({ name, version }) => (
            <option key={name} value={name}>@{name}: version {version.version}</option>
          ))}
          {model?.versions.nodes.map(({ version }) => (
            <option key={version} value={version}>version {version}</option>
          ))}
        </select>
      </div>
      <div className="field check">
        <input
          id={`${id}-int8`}
          type="checkbox"
          checked={choice.int8}
          disabled={!hasInt8}
          aria-describedby={`${id}-int8-hint`}
          onChange={({ target }) => onChoice({ ...choice, int8: target.checked })}
        />
        <label htmlFor={`${id}-int8`}>In eight bits</label>
        <p id={`${id}-int8-hint`} className="hint">
          {hasInt8 && 'Faster, and without activation maps.'}
          {!hasInt8 && <>This version is not quantised: see <Link to={`/models/${choice.model}`}>its model</Link>.</>}
        </p>
      </div>
    </div>
  );
}

export function NoModel({ problem }: { problem: ReturnType<typeof problemOf> }) {
  if (problem) return <ProblemNote problem={problem} />;
  return <p>No model has a version yet. <Link to="/runs/new">Train one</Link> first.</p>;
}
