import { useEffect, useState } from 'react';
import { useMutation } from 'urql';
import { problemOf, type Problem } from '../../api/problem';
import { sendFile, type Target } from '../../api/send-file';
import { graphql } from '../../gql';
import type { CreateDatasetInput, CreateDatasetMutation, DatasetFormat } from '../../gql/graphql';
import { DropZone } from '../../parts/drop-zone';
import { bytes, percent } from '../../parts/figures';
import { InputForm, type Entries } from '../../parts/input-form';
import { Validation } from './validation';
import { FORMAT_FILES, guessFormat, guessName, targetName } from './upload-names';

const CREATE = graphql(`
  mutation CreateDataset($input: CreateDatasetInput!) {
    createDataset(input: $input) {
      dataset {
        id
        name
        version
        format
      }
      uploads {
        file
        method
        url
        headers
      }
    }
  }
`);

const COMPLETE = graphql(`
  mutation CompleteDataset($id: ID!) {
    completeDataset(id: $id) {
      id
      status
    }
  }
`);

const HINT =
  'MNIST’s four files, CIFAR’s archive or batches, or a .zip or .tar with a folder of images for each class.';

interface Sending {
  /** 0 to 1; 1 is there. */
  readonly share: number;
  readonly fault?: string;
}

/** From files on the user's disk to a data set that is being validated. */
export function Upload({ onDone }: { onDone: () => void }) {
  const [files, setFiles] = useState<readonly File[]>([]);
  const [entries, setEntries] = useState<Entries>({});
  const upload = useUpload(files);
  const { created, sendings, isBusy, isComplete } = upload;
  const format = (entries['format'] ?? undefined) as DatasetFormat | undefined;

  function take(more: readonly File[]) {
    const all = [...files.filter(({ name }) => more.every((file) => file.name !== name)), ...more];
    const names = all.map(({ name }) => name);
    const [format, name] = [guessFormat(names), entries['name'] ?? guessName(names)];
    setFiles(all);
    setEntries({ ...entries, ...(format && { format }), ...(name && { name }) });
  }
  function again() {
    setFiles([]);
    setEntries({});
    upload.forget();
    onDone();
  }
  if (created && isComplete)
    return (
      <section className="card" aria-label="Upload">
        <h2>{created.name}@{created.version}</h2>
        <Validation name={created.name} version={created.version} onEnd={onDone} />
        <button type="button" onClick={again}>Upload another</button>
      </section>
    );
  return (
    <section className="card" aria-label="Upload">
      <h2>Upload</h2>
      {!created && (
        <DropZone
          label="Drop the files of a data set here, or pick them"
          hint={HINT}
          onFiles={take}
        />
      )}
      {files.length > 0 && (
        <ul className="rows" aria-label="Files">
          {files.map((file) => (
            <FileRow
              key={file.name}
              file={file}
              sending={sendings[file.name]}
              isKnown={!format || targetName(format, file.name) !== undefined}
              onRemove={created ? undefined : () => setFiles(files.filter((other) => other !== file))}
            />
          ))}
        </ul>
      )}
      {created ? (
        <Retry problem={upload.problem} isBusy={isBusy} onRetry={upload.sendRest} onForget={again} />
      ) : (
        <InputForm
          input="CreateDatasetInput"
          groups={[{ title: 'Data set', fields: ['name', 'format', 'classNames', 'description'] }]}
          entries={entries}
          onEntries={setEntries}
          beside={format && { format: <p className="hint">{FORMAT_FILES[format]}.</p> }}
          problem={upload.problem}
          submitLabel="Upload"
          busy={isBusy}
          onSubmit={(value) => void upload.begin(value as CreateDatasetInput)}
        />
      )}
    </section>
  );
}

function FileRow({ file, sending, isKnown, onRemove }: {
  file: File;
  sending: Sending | undefined;
  isKnown: boolean;
  onRemove: (() => void) | undefined;
}) { // prettier-ignore
  const share = sending?.share ?? 0;
  return (
    <li className="file">
      <span className="name">{file.name}</span> <span className="hint">{bytes(file.size)}</span>
      {onRemove && <button type="button" className="quiet" aria-label={`Leave out ${file.name}`} onClick={onRemove}>✕</button>}
      {!isKnown && <p className="fault">This format has no such file.</p>}
      {sending && !sending.fault && (
        <span className="sending">
          <progress aria-label={`Upload of ${file.name}`} value={share} />
          <span className="figure">{share === 1 ? '✓ sent' : percent(share, 0)}</span>
        </span>
      )}
      {sending?.fault && <p role="alert" className="fault">{sending.fault}</p>}
    </li>
  );
}

function Retry({ problem, isBusy, onRetry, onForget }: {
  problem: Problem | undefined;
  isBusy: boolean;
  onRetry: () => void;
  onForget: () => void;
}) { // prettier-ignore
  if (isBusy) return <p className="hint" role="status">Sending: stay on this page.</p>;
  return (
    <>
      {problem && <p role="alert" className="problem"><strong>{problem.code}</strong> {problem.message}</p>}
      <div className="actions">
        <button type="button" className="primary" onClick={onRetry}>Send the rest again</button>
        <button type="button" onClick={onForget}>Begin anew</button>
      </div>
    </>
  );
}

type Created = CreateDatasetMutation['createDataset'];

function useUpload(files: readonly File[]) {
  const [created, setCreated] = useState<Created>();
  const [sendings, setSendings] = useState<Readonly<Record<string, Sending>>>({});
  const [problem, setProblem] = useState<Problem>();
  const [isBusy, setBusy] = useState(false);
  const [isComplete, setComplete] = useState(false);
  const [, create] = useMutation(CREATE);
  const [, complete] = useMutation(COMPLETE);
  useStay(isBusy);

  const note = (file: File, sending: Sending) => setSendings((all) => ({ ...all, [file.name]: sending }));
  async function sendOne(file: File, target: Target): Promise<boolean> {
    note(file, { share: 0 });
    try {
      // It is there once the server has said so, not when the last byte went.
      await sendFile(file, target, (share) => note(file, { share: Math.min(share, 0.99) }));
      note(file, { share: 1 });
      return true;
    } catch (error) {
      note(file, { share: 0, fault: (error as Error).message });
      return false;
    }
  }
  async function sendAll({ dataset, uploads }: Created, rest: readonly File[]): Promise<void> {
    const targets = new Map(uploads.map((target) => [target.file, target]));
    const targetOf = ({ name }: File) => targets.get(targetName(dataset.format, name)!)!;
    const sent = await Promise.all(rest.map((file) => sendOne(file, targetOf(file))));
    if (!sent.every(Boolean)) return;
    const { error } = await complete({ id: dataset.id });
    setProblem(problemOf(error));
    setComplete(!error);
  }
  async function busily(work: () => Promise<void>): Promise<void> {
    setProblem(undefined);
    setBusy(true);
    await work().finally(() => setBusy(false));
  }
  const begin = (input: CreateDatasetInput) =>
    busily(async () => {
      const refusal = refuse(input, files);
      if (refusal) return setProblem(refusal);
      const { data, error } = await create({ input });
      if (!data) return setProblem(problemOf(error));
      setCreated(data.createDataset);
      await sendAll(data.createDataset, files);
    });
  const sendRest = () =>
    void busily(() => sendAll(created!, files.filter(({ name }) => sendings[name]?.share !== 1)));
  function forget() {
    setCreated(undefined);
    setSendings({});
    setProblem(undefined);
    setComplete(false);
  }
  return { created: created?.dataset, sendings, problem, isBusy, isComplete, begin, sendRest, forget };
}

/** Before anything is made: a data set without its files would stand in the list for good. */
function refuse({ format }: CreateDatasetInput, files: readonly File[]): Problem | undefined {
  const code = 'BAD_USER_INPUT';
  if (files.length === 0) return { code, message: 'Drop or pick its files first.' };
  if (!format) return { code, field: 'format', message: 'choose one' };
  const strange = files.find(({ name }) => targetName(format, name) === undefined);
  return strange && { code, field: 'format', message: `has no file ${strange.name}; it has ${FORMAT_FILES[format]}` };
}

/** The browser asks before it leaves a page that is sending. */
function useStay(isBusy: boolean): void {
  useEffect(() => {
    if (!isBusy) return;
    const ask = (event: BeforeUnloadEvent) => event.preventDefault();
    addEventListener('beforeunload', ask);
    return () => removeEventListener('beforeunload', ask);
  }, [isBusy]);
}
