import { useState } from 'react';
import { Link, useParams } from 'react-router';
import { useQuery } from 'urql';
import { problemOf } from '../api/problem';
import { useEach } from '../api/use-each';
import { graphql } from '../gql';
import type { RunStateFragment } from '../gql/graphql';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { Status } from '../parts/status';
import { RunCharts, StepCharts } from './run/charts';
import { Checkpoints } from './run/checkpoints';
import { Config } from './run/config';
import { Controls } from './run/controls';
import { RunEvaluation } from './run/evaluation';
import { Facts } from './run/facts';
import { useHistory } from './run/history';
import { Logs } from './run/logs';

export type RunState = RunStateFragment;

graphql(`
  fragment RunState on TrainingRun {
    id number status progress epoch step totalSteps etaSeconds failure queuePosition worker attempts
    engine precision threads tags trial createdAt startedAt finishedAt config
    model { name }
    dataset { name version }
    sweep { id name }
    history(last: 20) { ...Epoch }
    checkpoints { step epoch bytes createdAt sha256 }
    logs(last: 1) { totalCount }
    version { version }
  }
`);

graphql(`
  fragment Epoch on EpochMetrics {
    epoch trainLoss trainAccuracy validationLoss validationAccuracy learningRate imagesPerSecond
  }
`);

const RUN = graphql(`
  query Run($id: ID!) {
    run(id: $id) { ...RunState }
  }
`);

const PROGRESS = graphql(`
  subscription RunProgress($id: ID!) {
    runProgress(id: $id) { ...RunState }
  }
`);

export function Run() {
  const { id = '' } = useParams();
  // Another run is another page, which has nothing of this one.
  return <OneRun key={id} id={id} />;
}

function OneRun({ id }: { id: string }) {
  const [{ data, error }] = useQuery({ query: RUN, variables: { id }, requestPolicy: 'cache-and-network' });
  const [live, setLive] = useState<RunState>();
  useEach(PROGRESS, { id }, ({ runProgress }) => setLive(runProgress));
  const run = live ?? data?.run;
  if (!run) {
    return (
      <Page title="Run">
        <ProblemNote problem={problemOf(error)} />
        {data ? <p>There is no run {id}. <Link to="/">All runs</Link></p> : !error && <p className="hint">Loading …</p>}
      </Page>
    );
  }
  return (
    <Page title={`Run ${run.number}`} actions={<Controls run={run} />}>
      <Headline run={run} />
      <WithHistory run={run} />
      <StepCharts id={id} step={run.step} />
      {run.status === 'SUCCEEDED' && <RunEvaluation id={id} />}
      <Logs id={id} total={run.logs.totalCount} />
      <Checkpoints of={run.checkpoints} />
      <Config config={run.config} />
    </Page>
  );
}

function WithHistory({ run }: { run: RunState }) {
  const history = useHistory(run.id, run.history);
  return (
    <>
      <Facts run={run} history={history} />
      <RunCharts history={history} />
    </>
  );
}

function Headline({ run: { number, status, progress, failure, queuePosition } }: { run: RunState }) {
  return (
    <div className="headline">
      <span role="status"><Status of={status} /></span>
      <progress value={progress} aria-label={`Progress of run ${number}`} />
      <span>{(100 * progress).toFixed(0)} %</span>
      {queuePosition != null && <span className="hint">number {queuePosition} in the queue</span>}
      {failure != null && <p className="problem">{failure}</p>}
    </div>
  );
}
