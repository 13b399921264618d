import { useRef, useState } from 'react';
import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { useConnect } from '../../api/connections';
import { useAskAgain } from '../../api/use-ask-again';
import { useEach } from '../../api/use-each';
import { graphql } from '../../gql';
import type { RunRowFragment, RunsQueryVariables, RunStatus } from '../../gql/graphql';

export type RunRow = RunRowFragment;

graphql(`
  fragment RunRow on TrainingRun {
    id number status progress epoch etaSeconds tags createdAt
    model { name }
    dataset { name version }
    evaluation { accuracy }
    history(last: 1) { validationAccuracy imagesPerSecond }
  }
`);

const RUNS = graphql(`
  query Runs(
    $first: Int, $after: String, $last: Int, $before: String
    $status: [RunStatus!], $model: String, $tag: String, $orderBy: RunOrder
  ) {
    runs(
      first: $first, after: $after, last: $last, before: $before
      status: $status, model: $model, tag: $tag, orderBy: $orderBy
    ) {
      totalCount
      pageInfo { ...PageEnds }
      nodes { ...RunRow }
    }
  }
`);

const CHANGES = graphql(`
  subscription RunsChanged {
    runsChanged { ...RunRow }
  }
`);

const NONE: ReadonlyMap<string, RunRow> = new Map();
/** Which runs a page has is asked for anew at most this often. */
const ASK_AGAIN_MS = 700;

/** A page of runs that keeps up with what changes. */
export function useLiveRuns(variables: RunsQueryVariables) {
  const [{ data, error, fetching }, ask] = useQuery({ query: RUNS, variables, requestPolicy: 'cache-and-network' });
  // Newer than `of`, which is the answer that they were told after.
  const [news, setNews] = useState({ of: data, runs: NONE });
  if (news.of !== data) setNews({ of: data, runs: NONE });
  const askAgain = useAskAgain(() => ask({ requestPolicy: 'network-only' }), ASK_AGAIN_MS);
  const rows = data?.runs.nodes.map((run) => news.runs.get(run.id) ?? run) ?? [];
  /** What each run was when it was last told of, also of those on other pages. */
  const told = useRef(new Map<string, RunStatus>());

  useConnect(askAgain);
  useEach(CHANGES, {}, ({ runsChanged: run }) => {
    const shown = rows.find(({ id }) => id === run.id);
    if (shown) setNews(({ of, runs }) => ({ of, runs: new Map(runs).set(run.id, run) }));
    const before = told.current.get(run.id) ?? shown?.status;
    told.current.set(run.id, run.status);
    // Who is on the page, and where, depends on the status, and on what only comes with another one.
    if (before !== run.status) askAgain();
  });
  return { rows, page: data?.runs, problem: problemOf(error), fetching };
}
