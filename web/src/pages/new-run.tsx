import { useRef, useState } from 'react';
import { useNavigate, useSearchParams } from 'react-router';
import { useMutation, useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { graphql } from '../gql';
import { INPUT_FIELDS } from '../gql/input-fields';
import type { StartTrainingInput } from '../gql/graphql';
import type { Entries } from '../parts/input-entries';
import { InputForm, type Group } from '../parts/input-form';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { entriesOf } from './new-run/entries';
import { useNames } from './new-run/names';

const START = graphql(`
  mutation StartTraining($input: StartTrainingInput!) {
    startTraining(input: $input) { id }
  }
`);

const LIKE = graphql(`
  query RunToRepeat($id: ID!) {
    run(id: $id) { id number config }
  }
`);

const GROUPS: readonly Group[] = [
  { title: 'What', fields: ['model', 'dataset', 'initialWeights'] },
  { title: 'How long', fields: ['epochs', 'batchSize', 'validationFraction', 'earlyStopping'] },
  { title: 'How', fields: ['optimizer', 'schedule'] },
  { title: 'Against overfitting', fields: ['augmentation', 'labelSmoothing', 'emaDecay'] },
  { title: 'Where', fields: ['engine', 'precision', 'seed', 'priority'] },
  {
    title: 'What is kept',
    fields: ['tags', 'quantize', 'checkpointEverySteps', 'keepCheckpoints', 'idempotencyKey'],
  },
];

const FIRST = [
  'kind', 'learningRate', 'momentum', 'nesterov', 'weightDecay', 'clipNorm', 'warmupEpochs', 'finalLearningRate',
  'metric', 'patience', 'horizontalFlip', 'cropPadding', 'randomResizedCrop', 'randomErasing',
]; // prettier-ignore

export function NewRun() {
  const [address] = useSearchParams();
  const from = address.get('from');
  const [{ data, error, fetching }] = useQuery({ query: LIKE, variables: { id: from ?? '' }, pause: from === null });
  const given = Object.fromEntries(['model', 'dataset'].flatMap((name) => {
    const value = address.get(name);
    return value ? [[name, value]] : [];
  })); // prettier-ignore
  const like = data?.run;
  return (
    <Page title="New run">
      {like && <p>With the settings of run {like.number}. The same settings give the same weights.</p>}
      <ProblemNote problem={problemOf(error)} />
      {!fetching && <RunForm key={from} initial={{ ...(like && entriesOf(like.config)), ...given }} />}
    </Page>
  );
}

function RunForm({ initial }: { initial: Entries }) {
  const navigate = useNavigate();
  const [{ fetching, error }, start] = useMutation(START);
  const [entered, setEntered] = useState(initial);
  // A second click comes before the button can be seen to be disabled.
  const sending = useRef(false);
  const choices = useNames(entered['model'] ?? '');

  async function submit(input: unknown) {
    if (sending.current) return;
    sending.current = true;
    const { data } = await start({ input: input as StartTrainingInput });
    sending.current = false;
    if (data) await navigate(`/runs/${data.startTraining.id}`);
  }

  return (
    <>
      <p>
        An optimizer or a schedule that is left empty is that of the recipe of the model's preset. As soon as one of its
        fields is given, the others are the defaults that stand in them.
      </p>
      <InputForm
        input="StartTrainingInput"
        groups={GROUPS}
        first={FIRST}
        initial={initial}
        choices={choices}
        placeholders={leftOut(entered)}
        problem={problemOf(error)}
        submitLabel={fetching ? 'Starting …' : 'Start training'}
        busy={fetching}
        onChange={(value) => setEntered(entriesOf(value))}
        onSubmit={(value) => void submit(value)}
      />
    </>
  );
}

/** What it means that none of an input's fields is given. */
const LEFT_OUT = {
  optimizer: ['recipe', INPUT_FIELDS.OptimizerInput],
  schedule: ['recipe', INPUT_FIELDS.ScheduleInput],
  earlyStopping: ['off', INPUT_FIELDS.EarlyStoppingInput],
} as const;

/** What stands in the fields of inputs of which none is given. */
const leftOut = (entered: Entries): Record<string, string> =>
  Object.fromEntries(
    Object.entries(LEFT_OUT)
      .filter(([input]) => !Object.keys(entered).some((path) => path.startsWith(`${input}.`)))
      .flatMap(([input, [meaning, fields]]) => fields.map(({ name }) => [`${input}.${name}`, meaning])),
  );
