import { useState } from 'react';
import { useMutation } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { ServingSettings, ServingSettingsInput } from '../../gql/graphql';
import type { Entries } from '../../parts/input-entries';
import { InputForm } from '../../parts/input-form';

const CONFIGURE = graphql(`
  mutation ConfigureServing($model: String!, $input: ServingSettingsInput!) {
    configureServing(model: $model, input: $input) {
      maxBatch
      maxDelayMs
      maxQueue
    }
  }
`);

/** What stands now is shown in each field's place; what is written changes it. */
export function ServingForm({ model, settings, onChange }: {
  model: string;
  settings: ServingSettings;
  onChange: () => void;
}) { // prettier-ignore
  const [entries, setEntries] = useState<Entries>({});
  const [{ data, error, fetching }, configure] = useMutation(CONFIGURE);
  const isSaved = data && Object.keys(entries).length === 0;
  async function submit(value: unknown) {
    const { error } = await configure({ model, input: value as ServingSettingsInput });
    if (error) return;
    setEntries({});
    onChange();
  }
  const { maxBatch, maxDelayMs, maxQueue } = settings;
  return (
    <InputForm
      input="ServingSettingsInput"
      groups={[{ title: 'Serving', fields: ['maxBatch', 'maxDelayMs', 'maxQueue'] }]}
      entries={entries}
      onEntries={setEntries}
      placeholders={{ maxBatch: String(maxBatch), maxDelayMs: String(maxDelayMs), maxQueue: String(maxQueue) }}
      problem={problemOf(error)}
      submitLabel="Save serving settings"
      busy={fetching}
      onSubmit={submit}
    >
      {isSaved && <p role="status" className="hint">Saved: every server goes by it within two seconds.</p>}
    </InputForm>
  );
}
