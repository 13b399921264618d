import type { OpenDataset, Split } from '../datasets/read-dataset.js';
import { normalisationTables, writeNormalised, type Normalisation } from '../domain/normalisation.js';

export interface ImageBatch {
  readonly size: number;
  /** (size, C, H, W) float32, normalised. */
  readonly images: Float32Array;
  /** (size) */
  readonly labels: Int32Array;
}

/** A batch's activations stay well under a gigabyte in every preset. */
const PIXELS_AT_ONCE = 1_000_000;
const MAX_IMAGES_AT_ONCE = 64;

/** Images of a split as they are, in the order of `indices`. */
export function* readImages(
  data: OpenDataset,
  split: Split,
  indices: Uint32Array,
  normalisation: Normalisation,
): Generator<ImageBatch> {
  const { height, width, channels } = data.shape;
  const area = height * width;
  const most = Math.max(1, Math.min(MAX_IMAGES_AT_ONCE, Math.floor(PIXELS_AT_ONCE / area)));
  const tables = normalisationTables(normalisation);
  const labels = data.labels(split);
  const pixels = new Uint8Array(most * area * channels);
  for (let start = 0; start < indices.length; start += most) {
    const chosen = indices.subarray(start, start + most);
    data.gather(split, chosen, pixels);
    const images = new Float32Array(chosen.length * area * channels);
    for (let at = 0; at < images.length; at += area * channels)
      writeNormalised(pixels.subarray(at, at + area * channels), images.subarray(at, at + area * channels), tables);
    yield { size: chosen.length, images, labels: Int32Array.from(chosen, (index) => labels[index]!) };
  }
}
