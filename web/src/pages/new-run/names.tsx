import { useQuery } from 'urql';
import { graphql } from '../../gql';
import { useReadyDatasets } from '../../parts/use-ready-datasets';

const MODELS = graphql(`
  query ModelNames($search: String) {
    models(first: 20, search: $search) {
      nodes { name versions(first: 1) { totalCount } }
    }
  }
`);

/** What can be named in the form, by its fields. @param model what is written there by now */
export function useNames(model: string): Record<string, readonly string[]> {
  const [{ data }] = useQuery({ query: MODELS, variables: { search: model === '' ? null : model } });
  const ready = useReadyDatasets();
  const models = data?.models.nodes ?? [];
  return {
    model: models.map(({ name }) => name),
    dataset: [...new Set(ready.map(({ name }) => name)), ...ready.map(({ name, version }) => `${name}@${version}`)],
    initialWeights: models.filter(({ versions }) => versions.totalCount > 0).map(({ name }) => `${name}:latest`),
  };
}
