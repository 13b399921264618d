import { useState } from 'react';
import { useNavigate } from 'react-router';
import { useMutation, useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import type { DefineModelInput, PreviewArchitectureQueryVariables } from '../gql/graphql';
import { ArchitectureSummary } from '../parts/architecture-summary';
import { readEntries, type Entries } from '../parts/input-entries';
import { InputForm } from '../parts/input-form';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { ClassNamesOf } from './new-model/class-names-of';
import { presetEntries, presetPlaceholders, usePresets, type Presets } from './new-model/presets';
import { useSettled } from './new-model/use-settled';

const PREVIEW = graphql(`
  query PreviewArchitecture(
    $inputShape: ImageShapeInput!
    $numClasses: Int!
    $preset: ResNetPreset
    $architecture: ArchitectureInput
  ) {
    previewArchitecture(
      inputShape: $inputShape
      numClasses: $numClasses
      preset: $preset
      architecture: $architecture
    ) {
      ...ArchitectureParts
    }
  }
`);

const DEFINE = graphql(`
  mutation DefineModel($input: DefineModelInput!) {
    defineModel(input: $input) {
      name
    }
  }
`);

const GROUPS = [
  { title: 'Model', fields: ['name', 'preset', 'description'] },
  { title: 'Images and classes', fields: ['inputShape', 'classNames'] },
  { title: 'Network', fields: ['architecture'] },
];
const FIRST: Entries = { preset: 'RESNET20' };
/** Inside the groups, whatever else there is. */
const ORDER = ['block', 'stem', 'stages', 'shortcut', 'kind', 'blocks', 'height', 'width', 'channels', 'stride'];
/** Of the preview, until there are names. */
const CLASSES = 10;
const PAUSE_MS = 250;

export function NewModel() {
  const { presets, problem } = usePresets();
  return (
    <Page title="Define a model">
      <ProblemNote problem={problem} />
      {presets ? <Definition presets={presets} /> : !problem && <p className="hint">Loading …</p>}
    </Page>
  );
}

function Definition({ presets }: { presets: Presets }) {
  const [entries, setEntries] = useState(() => presetEntries(FIRST, presets));
  const [{ fetching, error }, define] = useMutation(DEFINE);
  const navigate = useNavigate();
  const preview = usePreview(entries);

  function change(next: Entries) {
    setEntries(next['preset'] === entries['preset'] ? next : presetEntries(next, presets));
  }
  async function submit(value: unknown) {
    const { data } = await define({ input: value as DefineModelInput });
    if (data) await navigate(`/models/${data.defineModel.name}`);
  }

  return (
    <div className="form-beside">
      <InputForm
        input="DefineModelInput"
        groups={GROUPS}
        first={ORDER}
        entries={entries}
        onEntries={change}
        placeholders={presetPlaceholders(entries, presets)}
        beside={{
          classNames: <ClassNamesOf onNames={(names) => change({ ...entries, classNames: names.join('\n') })} />,
        }}
        problem={problemOf(error)}
        liveProblem={preview.problem}
        submitLabel="Define"
        busy={fetching}
        onSubmit={submit}
      />
      <Preview {...preview} />
    </div>
  );
}

function Preview({ architecture, problem, isOld, numClasses }: ReturnType<typeof usePreview>) {
  return (
    <section className="card preview" aria-label="What this gives" aria-live="polite" aria-busy={isOld}>
      <h2>What this gives</h2>
      {problem && <p className="hint">Not a network yet: {problem.message} This was the last one:</p>}
      {architecture && (
        <div className={problem && 'stale'}>
          <ArchitectureSummary of={architecture} />
        </div>
      )}
      {numClasses === CLASSES && <p className="hint">For {CLASSES} classes.</p>}
    </section>
  );
}

/** What the API makes of the form, once the user pauses. */
function usePreview(entries: Entries) {
  const settled = useSettled(entries, PAUSE_MS);
  const { value, faults } = readEntries('DefineModelInput', settled);
  const { preset, architecture, inputShape, classNames } = value as Partial<DefineModelInput>;
  const numClasses = classNames && classNames.length > 1 ? classNames.length : CLASSES;
  const variables = { preset, architecture, inputShape, numClasses } as PreviewArchitectureQueryVariables;
  const [fault] = Object.entries(faults);
  const [{ data, error, fetching }] = useQuery({ query: PREVIEW, variables, pause: fault !== undefined });
  const problem = fault ? { code: 'BAD_USER_INPUT', field: fault[0], message: fault[1] } : problemOf(error);
  const [last, setLast] = useState(data);
  if (data && data !== last) setLast(data);
  return {
    architecture: (data ?? last)?.previewArchitecture,
    problem: problem?.field === 'numClasses' ? { ...problem, field: 'classNames' } : problem,
    isOld: fetching || settled !== entries,
    numClasses,
  };
}
