import { useState } from 'react';
import type { Problem } from '../../api/problem';
import type { CreateDatasetInput, DatasetFormat } from '../../gql/graphql';
import { DropZone } from '../../parts/drop-zone';
import { bytes, percent } from '../../parts/figures';
import type { Entries } from '../../parts/input-entries';
import { InputForm } from '../../parts/input-form';
import { ProblemNote } from '../../parts/problem-note';
import { FORMAT_FILES, guessFormat, guessName, targetName } from './upload-names';
import { useUpload, type Sending } from './use-upload';
import { Validation } from './validation';

const HINT =
  'MNIST’s four files, CIFAR’s archive or batches, or a .zip or .tar with a folder of images for each class.';

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
        <DropZone label="Drop the files of a data set here, or pick them" hint={HINT} onFiles={take} />
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
      <ProblemNote problem={problem} />
      <div className="actions">
        <button type="button" className="primary" onClick={onRetry}>Send the rest again</button>
        <button type="button" onClick={onForget}>Begin anew</button>
      </div>
    </>
  );
}
