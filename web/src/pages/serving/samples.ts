import type { ServingQuery } from '../../gql/graphql';

/** What the page saw of the server at one moment. */
export interface ServingSample {
  /** Seconds since 1970. */
  readonly at: number;
  readonly stats: ServingQuery['servingStats'];
}

/** Ten minutes at one sample each two seconds. */
const KEPT = 300;

export const keepSample = (samples: readonly ServingSample[], next: ServingSample): ServingSample[] => [
  ...samples.slice(1 - KEPT),
  next,
];

type Counter = 'requests' | 'images' | 'cacheHits' | 'cacheMisses';

const grown = ({ stats: then }: ServingSample, { stats: now }: ServingSample, name: Counter): number =>
  Number(now[name]) - Number(then[name]);

/** Of each sample what `value` makes of it and the one before; a server that was started anew has none. */
export function changes(
  samples: readonly ServingSample[],
  value: (grown: (name: Counter) => number, seconds: number) => number | null,
): (number | null)[] {
  return samples.map((sample, index) => {
    const before = samples[index - 1];
    if (!before || grown(before, sample, 'requests') < 0) return null;
    return value((name) => grown(before, sample, name), sample.at - before.at);
  });
}

/** In %, of predictions whose model was in memory; null where there was none. */
export function hitRate(hits: number | string, misses: number | string): number | null {
  const asked = Number(hits) + Number(misses);
  return asked > 0 ? (100 * Number(hits)) / asked : null;
}

export const hitRateOf = ({ cacheHits, cacheMisses }: ServingSample['stats']) => hitRate(cacheHits, cacheMisses);
