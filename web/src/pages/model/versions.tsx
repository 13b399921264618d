import { useState, type FormEvent } from 'react';
import { Link } from 'react-router';
import { useMutation } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { VersionPartsFragment } from '../../gql/graphql';
import { ConfirmButton } from '../../parts/confirm-button';
import { age, bytes, percent } from '../../parts/figures';
import { NewestOf } from '../../parts/newest-of';
import { ProblemNote } from '../../parts/problem-note';
import { useDownload } from '../../parts/use-download';
import { Int8 } from './int8';

graphql(`
  fragment VersionParts on ModelVersion {
    id
    version
    createdAt
    cached
    aliases
    evaluation {
      accuracy
    }
    run {
      id
      number
    }
    artifacts {
      id
      kind
      bytes
    }
    quantization {
      status
      failure
      evaluation {
        accuracy
      }
    }
  }
`);

const SET_ALIAS = graphql(`
  mutation SetAlias($model: String!, $alias: String!, $version: Int!) {
    setAlias(model: $model, alias: $alias, version: $version) {
      name
    }
  }
`);

const REMOVE_ALIAS = graphql(`
  mutation RemoveAlias($model: String!, $alias: String!) {
    removeAlias(model: $model, alias: $alias)
  }
`);

const DELETE_VERSION = graphql(`
  mutation DeleteVersion($model: String!, $version: Int!) {
    deleteVersion(model: $model, version: $version)
  }
`);

interface VersionedModel {
  readonly name: string;
  readonly aliases: readonly { readonly name: string }[];
  readonly versions: { readonly totalCount: number; readonly nodes: readonly VersionPartsFragment[] };
}

/** What a bare name means in a prediction. */
const PRODUCTION = 'production';

export function Versions({ model, onChange }: { model: VersionedModel; onChange: () => void }) {
  const [setting, set] = useMutation(SET_ALIAS);
  const [removing, remove] = useMutation(REMOVE_ALIAS);
  const [deleting, deleteVersion] = useMutation(DELETE_VERSION);
  const { name, aliases, versions } = model;
  const offered = [...new Set([PRODUCTION, ...aliases.map(({ name }) => name)])];
  const busy = setting.fetching || removing.fetching || deleting.fetching;
  const actions: VersionActions = {
    move: (alias, version) => void set({ model: name, alias, version }).then(onChange),
    remove: (alias) => void remove({ model: name, alias }).then(onChange),
    delete: (version) => void deleteVersion({ model: name, version }).then(onChange),
  };
  return (
    <section className="card" aria-label="Versions" aria-busy={busy}>
      <h2>Versions</h2>
      {versions.totalCount === 0 && <p>None yet: each run that succeeds publishes one.</p>}
      <ol className="rows">
        {versions.nodes.map((version) => (
          <li key={version.id} className="version">
            <Version model={name} version={version} offered={offered} actions={actions} onChange={onChange} />
          </li>
        ))}
      </ol>
      <NewestOf all={versions} />
      <ProblemNote problem={problemOf(setting.error ?? removing.error ?? deleting.error)} />
      {versions.nodes.length > 0 && <NewAlias versions={versions.nodes} onAlias={actions.move} />}
    </section>
  );
}

interface VersionActions {
  readonly move: (alias: string, version: number) => void;
  readonly remove: (alias: string) => void;
  readonly delete: (version: number) => void;
}

function Version({ model, version: of, offered, actions, onChange }: {
  model: string;
  version: VersionPartsFragment;
  offered: readonly string[];
  actions: VersionActions;
  onChange: () => void;
}) { // prettier-ignore
  return (
    <>
      <div className="version-head">
        <h3>Version {of.version}</h3>
        <span className="figure">{of.evaluation ? percent(of.evaluation.accuracy) : 'not evaluated'}</span>
        <Link to={`/predict?model=${model}&ref=${of.version}`}>Predict</Link>
        <span className="hint">
          {of.run ? <>of <Link to={`/runs/${of.run.id}`}>run #{of.run.number}</Link></> : 'imported'}, {age(of.createdAt)} ago
          {of.cached && ', in memory'}
        </span>
        {of.aliases.length === 0 && (
          <ConfirmButton
            quiet
            label={`Delete version ${of.version}`}
            question={`Delete version ${of.version} of ${model}?`}
            onConfirm={() => actions.delete(of.version)}
          >
            <p>Its files go with it, and its number is not given again.</p>
          </ConfirmButton>
        )}
      </div>
      <Aliases version={of} offered={offered} actions={actions} />
      <Downloads model={model} version={of} />
      <Int8 model={model} version={of} onChange={onChange} />
    </>
  );
}

/** Those it has, each to be taken off; and those that another has or that nobody has yet, each to be moved here. */
function Aliases({ version: { version, aliases }, offered, actions }: {
  version: VersionPartsFragment;
  offered: readonly string[];
  actions: VersionActions;
}) { // prettier-ignore
  return (
    <div className="chips" role="group" aria-label={`Aliases of version ${version}`}>
      {aliases.map((alias) => (
        <span key={alias} className="chip">
          @{alias}
          <button
            type="button"
            aria-label={`Take ${alias} off version ${version}`}
            onClick={() => actions.remove(alias)}
          >
            ✕
          </button>
        </span>
      ))}
      {offered.filter((alias) => !aliases.includes(alias)).map((alias) => (
        <button key={alias} type="button" className="chip" onClick={() => actions.move(alias, version)}>
          Move @{alias} here
        </button>
      ))}
    </div>
  );
}

function Downloads({ model, version: { version, artifacts } }: { model: string; version: VersionPartsFragment }) {
  const { problem, download } = useDownload(model, version);
  return (
    <>
      <ul className="chips" aria-label={`Files of version ${version}`}>
        {artifacts.map(({ id, kind, bytes: size }) => (
          <li key={id}>
            <button type="button" className="chip" onClick={() => void download(id)}>
              <span aria-hidden="true">↓</span> {kind.replaceAll('_', ' ')} <small>{bytes(size)}</small>
            </button>
          </li>
        ))}
      </ul>
      <ProblemNote problem={problem} />
    </>
  );
}

function NewAlias({ versions, onAlias }: {
  versions: readonly VersionPartsFragment[];
  onAlias: VersionActions['move'];
}) { // prettier-ignore
  const [name, setName] = useState('');
  function submit(event: FormEvent<HTMLFormElement>) {
    event.preventDefault();
    onAlias(name, Number(new FormData(event.currentTarget).get('version')));
    setName('');
  }
  return (
    <form className="inline" onSubmit={submit}>
      <div>
        <label htmlFor="alias-name">New alias</label>
        <input
          id="alias-name"
          value={name}
          required
          placeholder="staging"
          onChange={({ target }) => setName(target.value)}
        />
      </div>
      <div>
        <label htmlFor="alias-version">for version</label>
        <select id="alias-version" name="version">
          {versions.map(({ version }) => <option key={version}>{version}</option>)}
        </select>
      </div>
      <button type="submit">Set alias</button>
    </form>
  );
}
