import { useState } from 'react';
import { Link } from 'react-router';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../api/problem';
import { graphql } from '../gql';
import type { ServingQuery } from '../gql/graphql';
import { age, bytes, count, decimal, percent } from '../parts/figures';
import { LineChart } from '../parts/line-chart';
import { Page } from '../parts/page';
import { ProblemNote } from '../parts/problem-note';
import { Status } from '../parts/status';
import { usePoll } from '../parts/use-poll';
import { changes, keepSample, type ServingSample } from './serving/samples';

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

function Figures({ stats }: { stats: ServingQuery['servingStats'] }) {
  const hits = hitRateOf(stats);
  return (
    <section className="card" aria-label="Since the server started">
      <h2>Since this server started</h2>
      <dl className="facts">
        <div><dt>Requests</dt><dd>{count(stats.requests)}</dd></div>
        <div><dt>Images</dt><dd>{count(stats.images)}</dd></div>
        <div><dt>Hit rate</dt><dd>{percent(hits === null ? null : hits / 100)}</dd></div>
        <div><dt>Mean batch</dt><dd>{stats.meanBatchSize > 0 ? `${decimal(stats.meanBatchSize, 3)} images` : '–'}</dd></div>
        <div><dt>Waiting or computing</dt><dd>{stats.pendingImages} images</dd></div>
        <div><dt>Put out of memory</dt><dd>{count(stats.evictions)}</dd></div>
        <div><dt>Loads that failed</dt><dd>{count(stats.failedLoads)}</dd></div>
        <div>
          <dt>Memory for models</dt>
          <dd>
            {bytes(stats.cacheBytes)} of {bytes(stats.cacheBudgetBytes)}
            <progress
              aria-label="Memory for models"
              max={Number(stats.cacheBudgetBytes)}
              value={Number(stats.cacheBytes)}
            />
          </dd>
        </div>
      </dl>
    </section>
  );
}

function Charts({ samples }: { samples: readonly ServingSample[] }) {
  const x = samples.map(({ at }) => at);
  const of = (read: (stats: ServingSample['stats']) => number) =>
    samples.map(({ stats }) => (Number(stats.requests) > 0 ? read(stats) : null));
  return (
    <>
      <div className="columns">
        <section className="card">
          <LineChart
            title="Latency" xLabel="time" yLabel="ms" x={x} isTime
            lines={[
              { label: 'p50', values: of(({ latencyMs }) => latencyMs.p50) },
              { label: 'p95', values: of(({ latencyMs }) => latencyMs.p95) },
              { label: 'p99', values: of(({ latencyMs }) => latencyMs.p99), dashed: true },
            ]}
          />
          <p className="hint">Quantiles of the last five minutes’ requests, at most 4,096.</p>
        </section>
        <section className="card">
          <LineChart
            title="Throughput" xLabel="time" yLabel="a second" x={x} isTime
            lines={[
              { label: 'images', values: changes(samples, (grown, seconds) => grown('images') / seconds) },
              {
                label: 'requests',
                values: changes(samples, (grown, seconds) => grown('requests') / seconds),
                dashed: true,
              },
            ]}
          />
          <p className="hint">Between one look at the server and the next.</p>
        </section>
        <section className="card">
          <LineChart
            title="Where the time goes" xLabel="time" yLabel="ms" x={x} isTime
            lines={[
              { label: 'computing, p50', values: of(({ computeMs }) => computeMs.p50) },
              { label: 'waiting for a batch, p50', values: of(({ queueMs }) => queueMs.p50), dashed: true },
            ]}
          />
        </section>
        <section className="card">
          <LineChart
            title="Batches" xLabel="time" yLabel="images" x={x} isTime
            lines={[
              { label: 'mean batch since the start', values: of(({ meanBatchSize }) => meanBatchSize) },
              { label: 'waiting or computing', values: samples.map(({ stats }) => stats.pendingImages), dashed: true },
            ]}
          />
        </section>
        <section className="card">
          <LineChart
            title="Hit rate" xLabel="time" yLabel="%" x={x} isTime
            lines={[
              { label: 'since the start', values: samples.map(({ stats }) => hitRateOf(stats)) },
              {
                label: 'since the last look',
                values: changes(samples, (grown) => hitRate(grown('cacheHits'), grown('cacheMisses'))),
                dashed: true,
              },
            ]}
          />
        </section>
      </div>
      <p className="hint">Asked every two seconds while this page is in sight.</p>
    </>
  );
}

/** In %, of predictions whose model was in memory; null where there was none. */
function hitRate(hits: number | string, misses: number | string): number | null {
  const asked = Number(hits) + Number(misses);
  return asked > 0 ? (100 * Number(hits)) / asked : null;
}

const hitRateOf = ({ cacheHits, cacheMisses }: ServingSample['stats']) => hitRate(cacheHits, cacheMisses);

function Models({ models }: { models: ServingQuery['servingStats']['models'] }) {
  return (
    <section className="card" aria-label="Models in memory">
      <h2>Models in memory</h2>
      {models.length === 0 && <p>None: the first prediction loads one.</p>}
      <ul className="rows">
        {models.map((model) => {
          const name = `${model.version.model.name}:${model.version.version}${model.int8 ? '#int8' : ''}`;
          return (
            <li key={name}>
              <div className="row-head">
                <Link className="name" to={`/models/${model.version.model.name}`}>{name}</Link> <Status of={model.state} />
                <span className="hint">{model.reason}</span>
              </div>
              <dl className="facts">
                <div><dt>Memory</dt><dd>{bytes(model.bytes)}</dd></div>
                <div><dt>Requests</dt><dd>{count(model.requests)}</dd></div>
                <div><dt>Last used</dt><dd>{age(model.lastUsedAt)} ago</dd></div>
              </dl>
            </li>
          );
        })}
      </ul>
    </section>
  );
}

function Queue({ queue }: { queue: ServingQuery['queueStats'] }) {
  return (
    <section className="card" aria-label="Training queue">
      <h2>Training queue</h2>
      <dl className="facts">
        <div><dt>Waiting</dt><dd>{queue.waiting}</dd></div>
        <div><dt>Running</dt><dd>{queue.active}</dd></div>
        <div><dt>Paused</dt><dd>{queue.paused}</dd></div>
        <div><dt>Failed</dt><dd>{queue.failed}</dd></div>
      </dl>
    </section>
  );
}

function Workers({ workers }: { workers: ServingQuery['workers'] }) {
  return (
    <section className="card" aria-label="Workers">
      <h2>Workers</h2>
      {workers.length === 0 && <p>None was seen within a day: nothing trains until one starts.</p>}
      <ul className="rows">
        {workers.map(({ id, online, engine, device, host, lastSeenAt, currentRun }) => (
          <li key={id}>
            <div className="row-head">
              <span className="name">{host}</span> <Status of={online ? 'ONLINE' : 'OFFLINE'} />
            </div>
            <dl className="facts">
              <div><dt>Engine</dt><dd>{engine}</dd></div>
              <div><dt>Device</dt><dd>{device}</dd></div>
              <div>
                <dt>Trains</dt>
                <dd>{currentRun ? <Link to={`/runs/${currentRun.id}`}>run #{currentRun.number}</Link> : 'nothing'}</dd>
              </div>
              <div><dt>Heard of</dt><dd>{age(lastSeenAt)} ago</dd></div>
            </dl>
          </li>
        ))}
      </ul>
    </section>
  );
}
