import { CounterRandom, STREAM } from '../../src/domain/seed.js';
import type { Images } from './shapes-data.js';

/** 16x16 grey images of noise with a patch in one of the quarters; the class is the patch's texture, wherever it is. */
export const TEXTURE_SIDE = 16;
export const TEXTURE_NAMES = ['horizontal', 'vertical', 'checks'];

const PATCH = 6;
const BRIGHT: readonly ((x: number, y: number) => boolean)[] = [
  (_x, y) => y % 2 === 0,
  (x) => x % 2 === 0,
  (x, y) => (x + y) % 2 === 0,
];

export interface PlacedImages extends Images {
  /** (N): 0 upper left, 1 upper right, 2 lower left, 3 lower right. */
  readonly quarters: Uint8Array;
}

/** Decided by `seed` alone; classes take turns, and quarters are drawn. */
export function drawTextures(count: number, seed: number): PlacedImages {
  const random = new CounterRandom(seed, STREAM.sample, 1);
  const pixels = Uint8Array.from({ length: count * TEXTURE_SIDE ** 2 }, () => random.integer(60));
  const labels = Uint8Array.from({ length: count }, (_, index) => index % TEXTURE_NAMES.length);
  const quarters = Uint8Array.from({ length: count }, () => random.integer(4));
  const half = TEXTURE_SIDE / 2;
  for (let image = 0; image < count; image++) {
    const place = (far: boolean) => (far ? half : 0) + random.integer(half - PATCH + 1);
    const left = place(quarters[image]! % 2 === 1);
    const top = place(quarters[image]! >= 2);
    for (let y = 0; y < PATCH; y++)
      for (let x = 0; x < PATCH; x++)
        if (BRIGHT[labels[image]!]!(x, y)) pixels[(image * TEXTURE_SIDE + top + y) * TEXTURE_SIDE + left + x]! += 190;
  }
  return { pixels, labels, quarters };
}
