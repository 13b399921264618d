import type { ServingQuery } from '../../gql/graphql';
import { bytes, count, decimal, percent } from '../../parts/figures';
import { hitRateOf } from './samples';

export function Figures({ stats }: { stats: ServingQuery['servingStats'] }) {
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
