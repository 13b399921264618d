import { useQuery } from 'urql';
import { problemOf, type Problem } from '../../api/problem';
import { graphql } from '../../gql';
import type { Entries } from '../../parts/input-entries';

const PRESETS = graphql(`
  query Presets {
    presets {
      preset
      definition
    }
  }
`);

interface Definition {
  readonly inputShape: unknown;
  readonly stem: unknown;
  readonly stages: unknown;
}

export type Presets = ReadonlyMap<string, Definition>;

/** What each preset is, by its name. */
export function usePresets(): { presets?: Presets | undefined; problem: Problem | undefined } {
  const [{ data, error }] = useQuery({ query: PRESETS });
  const entries = data?.presets.map(({ preset, definition }) => [String(preset), definition as Definition] as const);
  return { presets: entries && new Map(entries), problem: problemOf(error) };
}

/**
 * Another preset has another network: what was changed of the last one goes, and images become its paper's. Stem and
 * stages are written out, since the API takes them whole.
 */
export function presetEntries(entries: Entries, presets: Presets): Entries {
  const definition = presets.get(entries['preset'] ?? '');
  if (!definition) return entries;
  const kept = Object.entries(entries).filter(([path]) => !/^(architecture|inputShape)\./.test(path));
  const { inputShape, stem, stages } = definition;
  return { ...Object.fromEntries(kept), ...flatten({ inputShape, architecture: { stem, stages } }) };
}

/** What the preset has in each field, shown where nothing is written. */
export function presetPlaceholders(entries: Entries, presets: Presets): Record<string, string> {
  const architecture = presets.get(entries['preset'] ?? '');
  return architecture ? flatten({ architecture }) : {};
}

/** By dotted path, as one writes them. */
function flatten(value: unknown, at: readonly string[] = []): Record<string, string> {
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object') return { [at.join('.')]: String(value) };
  return Object.assign({}, ...Object.entries(value).map(([key, inner]) => flatten(inner, [...at, key])));
}
