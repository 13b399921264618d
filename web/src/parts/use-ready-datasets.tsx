import { useQuery } from 'urql';
import { graphql } from '../gql';

const READY = graphql(`
  query ReadyDatasets {
    datasets(first: 100) {
      nodes {
        id
        name
        version
        status
      }
    }
  }
`);

/** Those that can be trained on and drawn from, the newest first. */
export function useReadyDatasets(): readonly { readonly name: string; readonly version: number }[] {
  const [{ data }] = useQuery({ query: READY, requestPolicy: 'cache-and-network' });
  return data?.datasets.nodes.filter(({ status }) => status === 'READY') ?? [];
}
