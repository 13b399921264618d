import { useState } from 'react';
import { Link } from 'react-router';
import { useMutation } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { RunStatus } from '../../gql/graphql';
import { ConfirmButton } from '../../parts/confirm-button';
import { ProblemNote } from '../../parts/problem-note';
import type { RunState } from '../run';

const PAUSE = graphql(`
  mutation PauseTraining($id: ID!) {
    pauseTraining(id: $id) { id status }
  }
`);
const RESUME = graphql(`
  mutation ResumeTraining($id: ID!) {
    resumeTraining(id: $id) { id status }
  }
`);
const CANCEL = graphql(`
  mutation CancelTraining($id: ID!) {
    cancelTraining(id: $id) { id status }
  }
`);

type Wish = 'pause' | 'cancel';

const CAN_PAUSE: readonly RunStatus[] = ['QUEUED', 'RUNNING'];
const CAN_CANCEL: readonly RunStatus[] = ['QUEUED', 'RUNNING', 'PAUSED'];

/** What can be asked of a run. A running one is asked, and answers by its status within two seconds. */
export function Controls({ run: { id, number, status } }: { run: RunState }) {
  const [pausing, pause] = useMutation(PAUSE);
  const [resuming, resume] = useMutation(RESUME);
  const [cancelling, cancel] = useMutation(CANCEL);
  const [asked, setAsked] = useState<{ wish: Wish; of: RunStatus }>();
  // What was asked for has come, or something else has.
  if (asked && asked.of !== status) setAsked(undefined);
  const wish = asked?.wish;
  const busy = pausing.fetching || resuming.fetching || cancelling.fetching;
  const problem = problemOf(pausing.error ?? resuming.error ?? cancelling.error);

  async function ask(wanted: Wish, mutate: typeof pause | typeof cancel) {
    const { error } = await mutate({ id });
    if (!error) setAsked({ wish: wanted, of: status });
  }
  return (
    <>
      <button
        type="button"
        disabled={busy || wish !== undefined || !CAN_PAUSE.includes(status)}
        onClick={() => void ask('pause', pause)}
      >
        {wish === 'pause' ? 'Pausing …' : 'Pause'}
      </button>
      <button type="button" disabled={busy || status !== 'PAUSED'} onClick={() => void resume({ id })}>Resume</button>
      <ConfirmButton
        label={wish === 'cancel' ? 'Cancelling …' : 'Cancel'}
        question={`Cancel run ${number}?`}
        answer="Cancel the run"
        disabled={busy || wish === 'cancel' || !CAN_CANCEL.includes(status)}
        onConfirm={() => void ask('cancel', cancel)}
      >
        <p>It cannot be resumed, and publishes nothing.</p>
      </ConfirmButton>
      <Link className="button" to={`/runs/new?from=${id}`}>Another like it</Link>
      <ProblemNote problem={problem} />
    </>
  );
}
