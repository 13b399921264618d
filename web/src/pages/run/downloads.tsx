import { useState } from 'react';
import { Link } from 'react-router';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../../api/problem';
import { graphql } from '../../gql';
import type { RunEvaluationQuery } from '../../gql/graphql';
import { bytes } from '../../parts/figures';
import { ProblemNote } from '../../parts/problem-note';
import { Wide } from '../../parts/wide';

const DOWNLOAD = graphql(`
  query Download($model: String!, $ref: String!) {
    model(name: $model) {
      version(ref: $ref) {
        artifacts { id downloadUrl }
      }
    }
  }
`);

type Version = NonNullable<NonNullable<RunEvaluationQuery['run']>['version']>;

const MEANINGS: Readonly<Record<Version['artifacts'][number]['kind'], string>> = {
  ONNX: 'ONNX, float32',
  ONNX_INT8: 'ONNX, eight bits',
  SAFETENSORS: "safetensors by torchvision's names",
  TFJS: 'TensorFlow.js layers model',
};

/** What a version's network can be taken along as. */
export function Downloads({ version }: { version: Version }) {
  const { problem, download } = useDownload(version);
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

/** Addresses work for 15 minutes, so each is asked for when it is wanted. */
function useDownload({ model, version }: Version) {
  const client = useClient();
  const [problem, setProblem] = useState<Problem>();
  async function download(id: string) {
    const variables = { model: model.name, ref: String(version) };
    const { data, error } = await client.query(DOWNLOAD, variables, { requestPolicy: 'network-only' });
    setProblem(problemOf(error));
    const url = data?.model?.version?.artifacts.find((artifact) => artifact.id === id)?.downloadUrl;
    if (url !== undefined) location.assign(url);
  }
  return { problem, download };
}
