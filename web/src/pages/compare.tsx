import { useMemo } from 'react';
import { Link, useSearchParams } from 'react-router';
import { useQuery } from 'urql';
import { useConnect } from '../api/connections';
import { problemOf } from '../api/problem';
import { useAskAgain } from '../api/use-ask-again';
import { useEach } from '../api/use-each';
import { graphql } from '../gql';
import type { CompareRunsQuery } from '../gql/graphql';
import { EpochCharts } from '../parts/epoch-charts';
import type { Line } from '../parts/line-chart';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { Comparison } from './compare/table';

export type Compared = CompareRunsQuery['compareRuns'];

const COMPARE = graphql(`
  query CompareRuns($ids: [ID!]!) {
    compareRuns(ids: $ids) {
      runs {
        id number status progress epoch startedAt finishedAt
        model { name }
        dataset { name version }
        evaluation { accuracy loss }
        history(last: 1) { imagesPerSecond }
      }
      history {
        epoch
        metrics { trainAccuracy trainLoss validationAccuracy validationLoss }
      }
      differences { path values }
    }
  }
`);

const CHANGED = graphql(`
  subscription ComparedRunChanged {
    runsChanged { id }
  }
`);

const ASK_AGAIN_MS = 1_500;

export function Compare() {
  const [address] = useSearchParams();
  const ids = (address.get('ids') ?? '').split(',').filter((id) => id !== '');
  if (ids.length < 2)
    return (
      <Page title="Compare">
        <p>Choose two to eight runs <Link to="/">in the table of runs</Link>.</p>
      </Page>
    );
  return <CompareRuns ids={ids} />;
}

function CompareRuns({ ids }: { ids: readonly string[] }) {
  const variables = { ids: [...ids] };
  const [{ data, error }, ask] = useQuery({ query: COMPARE, variables, requestPolicy: 'cache-and-network' });
  const askAgain = useAskAgain(() => ask({ requestPolicy: 'network-only' }), ASK_AGAIN_MS);
  useConnect(askAgain);
  useEach(CHANGED, {}, ({ runsChanged: { id } }) => ids.includes(id) && askAgain());
  return (
    <Page title="Compare" actions={<Link className="button" to="/">All runs</Link>}>
      <ProblemNote problem={problemOf(error)} />
      {data && <Curves of={data.compareRuns} />}
      {data && <Comparison of={data.compareRuns} />}
    </Page>
  );
}

function Curves({ of: { runs, history } }: { of: Compared }) {
  const drawn = useMemo(
    () => ({
      x: history.map(({ epoch }) => epoch),
      accuracy: linesOf({ runs, history }, 'validationAccuracy', 'trainAccuracy'),
      loss: linesOf({ runs, history }, 'validationLoss', 'trainLoss'),
    }),
    [runs, history],
  );
  if (drawn.x.length === 0)
    return <p className="card hint">The curves begin with the first complete epoch of a run.</p>;
  return (
    <>
      <p className="hint">A colour for each run: whole lines are validation, dashed ones training.</p>
      <EpochCharts {...drawn} />
    </>
  );
}

type Metric = 'trainAccuracy' | 'trainLoss' | 'validationAccuracy' | 'validationLoss';

function linesOf({ runs, history }: Pick<Compared, 'runs' | 'history'>, validation: Metric, training: Metric): Line[] {
  const values = (place: number, metric: Metric) => history.map(({ metrics }) => metrics[place]?.[metric] ?? null);
  return runs.flatMap(({ number }, place) => [
    { label: `run ${number}`, values: values(place, validation), colour: place },
    { label: `run ${number}, training`, values: values(place, training), colour: place, dashed: true },
  ]);
}
