import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { Page } from '../parts/page';
import { Pager } from '../parts/pager';
import { ProblemNote } from '../parts/problem-note';
import { variablesOf } from './runs/filter';
import { Filters } from './runs/filters';
import { useLiveRuns } from './runs/live-runs';
import { MOST_COMPARED, RunTable } from './runs/table';

export function Runs() {
  const [address, setAddress] = useSearchParams();
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const { rows, page, problem, fetching } = useLiveRuns(variablesOf(address));

  function choose(id: string, isChosen: boolean) {
    const next = new Set(chosen);
    if (isChosen) next.add(id);
    else next.delete(id);
    setChosen(next);
  }

  const actions = (
    <>
      <CompareLink chosen={chosen} clear={() => setChosen(new Set())} />
      <Link className="button primary" to="/runs/new">New run</Link>
    </>
  );
  return (
    <Page title="Runs" actions={actions}>
      <Filters address={address} setAddress={(next) => setAddress(next, { replace: true })} />
      <ProblemNote problem={problem} />
      <section className="card" aria-label="Runs found" aria-busy={fetching}>
        {rows.length > 0 && <RunTable rows={rows} chosen={chosen} onChoose={choose} />}
        {page && rows.length === 0 && <NoRuns isFiltered={address.size > 0} />}
        {page && <Pager of={page} noun="run" shown={rows.length} names={['Previous', 'Next']} />}
      </section>
    </Page>
  );
}

function CompareLink({ chosen, clear }: { chosen: ReadonlySet<string>; clear: () => void }) {
  const label = `Compare (${chosen.size})`;
  const hint = `Choose 2 to ${MOST_COMPARED} runs of the table`;
  if (chosen.size < 2) return <button type="button" disabled title={hint}>{label}</button>;
  return (
    <>
      <button type="button" className="quiet" onClick={clear}>Choose none</button>
      <Link className="button" to={`/compare?ids=${[...chosen].join(',')}`}>{label}</Link>
    </>
  );
}

function NoRuns({ isFiltered }: { isFiltered: boolean }) {
  if (isFiltered) return <p>No run is like that. <Link to="/">All runs</Link></p>;
  return <p>Nothing was trained yet. <Link to="/runs/new">Start the first run</Link></p>;
}
