import { useState } from 'react';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../api/problem';
import { graphql } from '../gql';
import type { ServingQuery } from '../gql/graphql';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { usePoll } from '../parts/use-poll';
import { Charts } from './serving/charts';
import { Figures } from './serving/figures';
import { Models } from './serving/models';
import { keepSample, type ServingSample } from './serving/samples';
import { Queue, Workers } from './serving/training';

const SERVING = graphql(`
  query Serving {
    servingStats {
      requests
      images
      cacheHits
      cacheMisses
      cacheBytes
      cacheBudgetBytes
      evictions
      failedLoads
      pendingImages
      meanBatchSize
      latencyMs {
        p50
        p95
        p99
      }
      queueMs {
        p50
      }
      computeMs {
        p50
      }
      models {
        int8
        state
        reason
        bytes
        requests
        lastUsedAt
        version {
          id
          version
          model {
            id
            name
          }
        }
      }
    }
    queueStats {
      waiting
      active
      paused
      failed
    }
    workers {
      id
      online
      engine
      device
      host
      lastSeenAt
      currentRun {
        id
        number
      }
    }
  }
`);

const EVERY_MS = 2_000;

export function Serving() {
  const { data, problem, samples } = useServing();
  return (
    <Page title="Serving">
      <ProblemNote problem={problem} />
      {!data && !problem && <p className="hint">Loading …</p>}
      {data && (
        <>
          <Figures stats={data.servingStats} />
          <Charts samples={samples} />
          <Models models={data.servingStats.models} />
          <Queue queue={data.queueStats} />
          <Workers workers={data.workers} />
        </>
      )}
    </Page>
  );
}

/** What was answered last, and what was seen before it. */
interface Seen {
  readonly data?: ServingQuery | undefined;
  readonly problem?: Problem | undefined;
  readonly samples: readonly ServingSample[];
}

function useServing(): Seen {
  const client = useClient();
  const [seen, setSeen] = useState<Seen>({ samples: [] });
  async function ask() {
    const { data, error } = await client.query(SERVING, {}, { requestPolicy: 'network-only' }).toPromise();
    const sample = data && { at: Date.now() / 1000, stats: data.servingStats };
    setSeen((last) => ({
      data: data ?? last.data,
      problem: problemOf(error),
      samples: sample ? keepSample(last.samples, sample) : last.samples,
    }));
  }
  usePoll(() => void ask(), EVERY_MS, 'at once');
  return seen;
}
