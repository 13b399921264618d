import { useQuery } from 'urql';
import { graphql } from '../../gql';

const NAMES = graphql(`
  query Names($search: String) {
    models(first: 20, search: $search) {
      nodes { name versions(first: 1) { totalCount } }
    }
    datasets(first: 100) {
      nodes { name version status }
    }
  }
`);

/** What can be named in the form, by its fields. @param model what is written there by now */
export function useNames(model: string): Record<string, readonly string[]> {
  const [{ data }] = useQuery({ query: NAMES, variables: { search: model === '' ? null : model } });
  const ready = data?.datasets.nodes.filter(({ status }) => status === 'READY') ?? [];
  const models = data?.models.nodes ?? [];
  return {
    model: models.map(({ name }) => name),
    dataset: [...new Set(ready.map(({ name }) => name)), ...ready.map(({ name, version }) => `${name}@${version}`)],
    initialWeights: models.filter(({ versions }) => versions.totalCount > 0).map(({ name }) => `${name}:latest`),
  };
}
