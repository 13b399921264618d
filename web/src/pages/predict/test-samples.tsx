import { useId, useState } from 'react';
import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import { ProblemNote } from '../../parts/problem-note';
import { useReadyDatasets } from '../../parts/use-ready-datasets';
import type { Shot } from './shots';

const TEN = graphql(`
  query TestSamples($name: String!, $version: Int!, $seed: Int!) {
    dataset(name: $name, version: $version) {
      id
      samples(split: TEST, first: 10, seed: $seed) {
        index
        className
        png
      }
    }
  }
`);

/** Ten images of a TEST split: to pick one, or to ask about them all. */
export function TestSamples({ suggested, onPick, onAll, busy }: {
  /** `name@version`: what the model was trained on. */
  suggested: string | undefined;
  onPick: (shot: Shot) => void;
  onAll: (shots: readonly Shot[]) => void;
  busy: boolean;
}) { // prettier-ignore
  const id = useId();
  const [chosen, setChosen] = useState<string>();
  const [seed, setSeed] = useState(0);
  const ready = useReadyDatasets().map(({ name, version }) => `${name}@${version}`);
  const dataset = chosen ?? (suggested && ready.includes(suggested) ? suggested : ready[0]);
  const [name = '', version] = dataset?.split('@') ?? [];
  const variables = { name, version: Number(version), seed };
  const [{ data, error }] = useQuery({ query: TEN, variables, pause: dataset === undefined });
  const shots = data?.dataset?.samples.map(
    ({ index, className, png }): Shot => ({ name: `test image ${index}`, url: `data:image/png;base64,${png}`, className }),
  );
  if (!dataset) return <p className="hint">No data set is ready to draw test images from.</p>;
  return (
    <>
      <div className="inline">
        <div>
          <label htmlFor={id}>Test images of</label>
          <select id={id} value={dataset} onChange={({ target }) => setChosen(target.value)}>
            {ready.map((name) => <option key={name}>{name}</option>)}
          </select>
        </div>
        <button type="button" onClick={() => setSeed(seed + 1)}>Ten others</button>
        <button type="button" className="primary" disabled={!shots?.length || busy} onClick={() => onAll(shots!)}>
          Predict all ten
        </button>
      </div>
      <ProblemNote problem={problemOf(error)} />
      <ul className="pictures" aria-label="Test images to pick from">
        {shots?.map((shot) => (
          <li key={shot.name}>
            <button type="button" className="picture" disabled={busy} onClick={() => onPick(shot)}>
              <img src={shot.url} alt="" />
              <span>{shot.className}</span>
              <span className="for-screen-readers">, {shot.name}: predict</span>
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}
