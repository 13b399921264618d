import { useEffect, useState } from 'react';
import { useMutation } from 'urql';
import { problemOf, type Problem } from '../../api/problem';
import { sendFile, type Target } from '../../api/send-file';
import { graphql } from '../../gql';
import type { CreateDatasetInput, CreateDatasetMutation } from '../../gql/graphql';
import { FORMAT_FILES, targetName } from './upload-names';

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

export interface Sending {
  /** 0 to 1; 1 is there. */
  readonly share: number;
  readonly fault?: string;
}

type Created = CreateDatasetMutation['createDataset'];

/** Makes a data set, sends its files, and says that they are all there; what did not go is sent again. */
export function useUpload(files: readonly File[]) {
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
