import { useState } from 'react';
import { useQuery } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { Split } from '../../gql/graphql';
import { ProblemNote } from '../../parts/problem-note';

const SAMPLES = graphql(`
  query Samples($name: String!, $version: Int!, $split: Split!, $seed: Int!) {
    dataset(name: $name, version: $version) {
      id
      samples(split: $split, first: 24, seed: $seed) {
        index
        label
        className
        png
      }
    }
  }
`);

/** What is in a split: images drawn from it, each with its class. */
export function Samples({ name, version }: { name: string; version: number }) {
  const [split, setSplit] = useState<Split>('TRAIN');
  const [seed, setSeed] = useState(0);
  const [{ data, error }] = useQuery({ query: SAMPLES, variables: { name, version, split, seed } });
  return (
    <section className="card" aria-label="Samples">
      <div className="page-head">
        <h2>Samples</h2>
        <div className="actions">
          <label htmlFor="samples-split">Split</label>
          <select id="samples-split" value={split} onChange={({ target }) => setSplit(target.value as Split)}>
            <option>TRAIN</option>
            <option>TEST</option>
          </select>
          <button type="button" onClick={() => setSeed(seed + 1)}>Others</button>
        </div>
      </div>
      <ProblemNote problem={problemOf(error)} />
      <ul className="pictures">
        {data?.dataset?.samples.map(({ index, className, png }) => (
          <li key={index}>
            <figure>
              <img src={`data:image/png;base64,${png}`} alt={`${className}, image ${index} of ${split}`} />
              <figcaption>{className}</figcaption>
            </figure>
          </li>
        ))}
      </ul>
    </section>
  );
}
