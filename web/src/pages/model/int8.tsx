import { useId, useState } from 'react';
import { useMutation } from 'urql';
import { problemOf } from '../../api/problem';
import { graphql } from '../../gql';
import type { VersionPartsFragment } from '../../gql/graphql';
import { percent } from '../../parts/figures';
import { ProblemNote } from '../../parts/problem-note';
import { Status } from '../../parts/status';

const QUANTIZE = graphql(`
  mutation QuantizeVersion($model: String!, $version: Int!, $dataset: String) {
    quantizeVersion(model: $model, version: $version, dataset: $dataset) {
      id
    }
  }
`);

/** A version's network in eight bits: there, on its way, or to be asked for. */
export function Int8({ model, version: of, onChange }: {
  model: string;
  version: VersionPartsFragment;
  onChange: () => void;
}) { // prettier-ignore
  const id = useId();
  const [dataset, setDataset] = useState('');
  const [{ error, fetching }, quantize] = useMutation(QUANTIZE);
  const { quantization, version } = of;
  const ask = () => void quantize({ model, version, dataset: dataset || null }).then(onChange);
  const mayAsk = !quantization || quantization.status === 'FAILED';
  return (
    <div className="int8">
      <span>int8</span>
      {quantization ? <Status of={quantization.status} /> : <span className="hint">not quantised</span>}
      {quantization?.evaluation && <span>{percent(quantization.evaluation.accuracy)} accuracy</span>}
      {quantization?.failure && <p className="fault">{quantization.failure}</p>}
      {mayAsk && !of.run && (
        <>
          <label htmlFor={id}>calibrate by data set</label>
          <input
            id={id}
            value={dataset}
            placeholder="name or name@version"
            onChange={({ target }) => setDataset(target.value)}
          />
        </>
      )}
      {mayAsk && (
        <button type="button" disabled={fetching} onClick={ask} aria-label={`Quantise version ${version}`}>
          {quantization ? 'Try again' : 'Quantise'}
        </button>
      )}
      <ProblemNote problem={problemOf(error)} />
    </div>
  );
}
