import { isDeepStrictEqual } from 'node:util';

/** A setting in which configurations differ. */
export interface ConfigDifference {
  /** Dotted: `optimizer.learningRate`. */
  readonly path: string;
  /** One for each configuration, in their order; null where one does not have it. */
  readonly values: unknown[];
}

/** The settings that are not the same in all of `configs`, sorted by path: PostgreSQL keeps no order of keys. */
export function configDifferences(configs: readonly unknown[]): ConfigDifference[] {
  const settings = configs.map((config) => new Map(flatten(config)));
  const paths = new Set(settings.flatMap((setting) => [...setting.keys()]));
  return [...paths]
    .toSorted()
    .map((path) => ({ path, values: settings.map((setting) => setting.get(path) ?? null) }))
    .filter(({ values: [first, ...others] }) => others.some((value) => !isDeepStrictEqual(value, first)));
}

/** Objects are gone into; a list is one value, since its items mean nothing alone. */
function flatten(value: unknown, path = ''): [path: string, value: unknown][] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => flatten(inner, path === '' ? name : `${path}.${name}`));
}
