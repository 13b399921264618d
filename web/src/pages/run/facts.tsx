import type { ReactNode } from 'react';
import { Link } from 'react-router';
import { age, count, decimal, duration, percent } from '../../parts/figures';
import { useNow } from '../../parts/use-now';
import type { RunState } from '../run';
import { epochsOf } from './config';
import type { Epoch } from './history';

/** What a run is, where it is, and how fast it goes. */
export function Facts({ run, history }: { run: RunState; history: readonly Epoch[] }) {
  const { model, dataset } = run;
  const last = history.at(-1);
  const best = history.length > 0 ? Math.max(...history.map((epoch) => epoch.validationAccuracy)) : undefined;
  useNow(1_000);
  return (
    <section className="card" aria-label="About the run">
      <dl className="facts">
        <Fact name="Model"><Link to={`/models/${model.name}`}>{model.name}</Link></Fact>
        <Fact name="Data set">
          <Link to={`/datasets/${dataset.name}?version=${dataset.version}`}>{dataset.name}@{dataset.version}</Link>
        </Fact>
        {run.version && <Fact name="Published"><Link to={`/models/${model.name}`}>version {run.version.version}</Link></Fact>}
        <Fact name="Epochs">{run.epoch} of {epochsOf(run.config) ?? '–'}</Fact>
        <Fact name="Steps">{count(run.step)} of {count(run.totalSteps)}</Fact>
        <Fact name="Validation accuracy">{percent(last?.validationAccuracy, 2)}</Fact>
        <Fact name="Best so far">{percent(best, 2)}</Fact>
        <Fact name="Images/s">{count(last?.imagesPerSecond)}</Fact>
        <Fact name="Learning rate">{decimal(last?.learningRate)}</Fact>
        <Fact name="Time left">{duration(run.etaSeconds)}</Fact>
        <Fact name="Time taken">{duration(secondsTaken(run))}</Fact>
        <Fact name="Started">{run.startedAt ? `${age(run.startedAt)} ago` : 'not yet'}</Fact>
        <Fact name="Engine">{engineOf(run)}</Fact>
        <Fact name="Worker">{run.worker ?? '–'}</Fact>
        <Fact name="Attempts">{run.attempts}</Fact>
        {run.sweep && <Fact name="Trial">{run.trial} of the sweep {run.sweep.name}</Fact>}
        {run.tags.length > 0 && (
          <Fact name="Tags">
            {run.tags.map((tag) => <Link key={tag} className="tag" to={`/?tag=${encodeURIComponent(tag)}`}>{tag}</Link>)}
          </Fact>
        )}
      </dl>
    </section>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function secondsTaken({ startedAt, finishedAt }: RunState): number | undefined {
  if (startedAt == null) return undefined;
  return ((finishedAt == null ? Date.now() : Date.parse(finishedAt)) - Date.parse(startedAt)) / 1000;
}

function engineOf({ engine, precision, threads }: RunState): string {
  if (engine == null) return '–';
  const words = [engine, precision, threads == null ? null : `${threads} ${threads === 1 ? 'thread' : 'threads'}`];
  return words.filter((word) => word != null).join(', ').toLowerCase();
}
