import { LineChart } from '../../parts/line-chart';
import { changes, hitRate, hitRateOf, type ServingSample } from './samples';

export function Charts({ samples }: { samples: readonly ServingSample[] }) {
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
