/** Of pixels scaled to [0, 1], a value per channel. */
export interface Normalisation {
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/**
 * The normalised value of each channel and 8-bit value, at [channel * 256 + value]. Training and serving read the same
 * table, so that a network is asked about what it learned from.
 */
export function normalisationTables({ mean, std }: Normalisation): Float32Array {
  const tables = new Float32Array(mean.length * 256);
  for (let channel = 0; channel < mean.length; channel++)
    for (let value = 0; value < 256; value++) {
      // A channel without any variation carries nothing; it must not become infinite.
      tables[channel * 256 + value] = (value / 255 - mean[channel]!) / (std[channel]! || 1);
    }
  return tables;
}
