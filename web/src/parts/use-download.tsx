import { useState } from 'react';
import { useClient } from 'urql';
import { problemOf, type Problem } from '../api/problem';
import { graphql } from '../gql';

const DOWNLOAD = graphql(`
  query Download($model: String!, $ref: String!) {
    model(name: $model) {
      version(ref: $ref) {
        artifacts { id downloadUrl }
      }
    }
  }
`);

/** Fetches a version's files. Addresses work for 15 minutes, so each is asked for when it is wanted. */
export function useDownload(model: string, version: number) {
  const client = useClient();
  const [problem, setProblem] = useState<Problem>();
  async function download(id: string) {
    const variables = { model, ref: String(version) };
    const { data, error } = await client.query(DOWNLOAD, variables, { requestPolicy: 'network-only' });
    setProblem(problemOf(error));
    const url = data?.model?.version?.artifacts.find((artifact) => artifact.id === id)?.downloadUrl;
    if (url !== undefined) location.assign(url);
  }
  return { problem, download };
}
