import { Link } from 'react-router';
import type { RunEvaluationQuery } from '../../gql/graphql';
import { bytes } from '../../parts/figures';
import { ProblemNote } from '../../parts/problem-note';
import { useDownload } from '../../parts/use-download';
import { Wide } from '../../parts/wide';

type Version = NonNullable<NonNullable<RunEvaluationQuery['run']>['version']>;

const MEANINGS: Readonly<Record<Version['artifacts'][number]['kind'], string>> = {
  ONNX: 'ONNX, float32',
  ONNX_INT8: 'ONNX, eight bits',
  SAFETENSORS: "safetensors by torchvision's names",
  TFJS: 'TensorFlow.js layers model',
};

/** What a version's network can be taken along as. */
export function Downloads({ version }: { version: Version }) {
  const { problem, download } = useDownload(version.model.name, version.version);
  return (
    <section className="card">
      <h2>Published as <Link to={`/models/${version.model.name}`}>{version.model.name}</Link>, version {version.version}</h2>
      <Wide label="Downloads">
        <table className="downloads">
          <thead>
            <tr>
              <th scope="col">File</th>
              <th scope="col"><span className="for-screen-readers">Download</span></th>
              <th scope="col" className="number">Size</th>
              <th scope="col">SHA-256</th>
            </tr>
          </thead>
          <tbody>
            {version.artifacts.map(({ id, kind, bytes: size, sha256 }) => (
              <tr key={id}>
                <th scope="row">{MEANINGS[kind]}</th>
                <td>
                  <button type="button" aria-label={`Download ${kind}`} onClick={() => void download(id)}>Download</button>
                </td>
                <td className="number">{bytes(size)}</td>
                <td><code title={sha256}>{sha256.slice(0, 16)}…</code></td>
              </tr>
            ))}
          </tbody>
        </table>
      </Wide>
      <ProblemNote problem={problem} />
    </section>
  );
}
