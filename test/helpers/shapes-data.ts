import { CounterRandom, STREAM } from '../../src/domain/seed.js';
import type { DataSource, Split } from '../../src/training/batches.js';

/** A data set that a small network learns in seconds: 8x8 grey images, brighter in the quarter that is their class. */
export const SIDE = 8;
export const CLASS_NAMES = ['upper-left', 'upper-right', 'lower-left', 'lower-right'];

export interface Images {
  /** (N, side, side) */
  readonly pixels: Uint8Array;
  /** (N) */
  readonly labels: Uint8Array;
}

/** Decided by `seed` alone; classes take turns. */
export function drawImages(count: number, seed: number): Images {
  const random = new CounterRandom(seed, STREAM.sample, 0);
  const pixels = new Uint8Array(count * SIDE * SIDE);
  const labels = Uint8Array.from({ length: count }, (_, index) => index % CLASS_NAMES.length);
  for (let image = 0; image < count; image++)
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++) {
        const quarter = (y >= SIDE / 2 ? 2 : 0) + (x >= SIDE / 2 ? 1 : 0);
        pixels[(image * SIDE + y) * SIDE + x] = random.integer(130) + (quarter === labels[image] ? 90 : 0);
      }
  return { pixels, labels };
}

/** The two files of a split as MNIST has them: images and labels. */
export function encodeIdx({ pixels, labels }: Images): { images: Uint8Array; labels: Uint8Array } {
  const header = (...words: number[]) => {
    const bytes = Buffer.alloc(words.length * 4);
    words.forEach((word, index) => bytes.writeUInt32BE(word, index * 4));
    return bytes;
  };
  const side = Math.sqrt(pixels.length / labels.length);
  return {
    images: Buffer.concat([header(0x803, labels.length, side, side), pixels]),
    labels: Buffer.concat([header(0x801, labels.length), labels]),
  };
}

/** The same in memory, as the training loop takes it. */
export function dataSource(splits: Record<Split, Images>): DataSource {
  return {
    shape: { height: SIDE, width: SIDE, channels: 1 },
    size: (split) => splits[split].labels.length,
    labels: (split) => Int32Array.from(splits[split].labels),
    gather: (split, indices, into) => {
      const size = SIDE * SIDE;
      for (let place = 0; place < indices.length; place++)
        into.set(splits[split].pixels.subarray(indices[place]! * size, (indices[place]! + 1) * size), place * size);
    },
  };
}
