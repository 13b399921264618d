import { normalisationTables, type Normalisation } from '../domain/normalisation.js';
import type { TrainingPlan } from '../domain/plan.js';
import { permutation, STREAM } from '../domain/seed.js';
import { drawAugmentation, isAugmented, UNCHANGED, type Augmentation } from './augment.js';
import type { Batch } from './engine.js';

export type Split = 'TRAIN' | 'TEST';
export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** Where images come from: decoded pixels at hand, read synchronously. */
export interface DataSource {
  readonly shape: ImageShape;
  size(split: Split): number;
  /** (N) */
  labels(split: Split): Int32Array;
  /** Writes the images of `indices` one behind the other, HWC, 8 bit. */
  gather(split: Split, indices: ArrayLike<number>, into: Uint8Array): void;
}

export const stepsPerEpoch = (images: number, batchSize: number) => Math.ceil(images / batchSize);

/**
 * The batches of one epoch from number `first` on, in the order that (seed, epoch) decide; the last one holds what is
 * left. A batch's buffers are used again two batches later, so the next may be made while an engine reads this one.
 */
export function* trainingBatches(
  data: DataSource,
  normalisation: Normalisation,
  plan: Pick<TrainingPlan, 'batchSize' | 'augmentation' | 'seed'>,
  epoch: number,
  first = 0,
): Generator<Batch> {
  const order = permutation(plan.seed, STREAM.shuffle, epoch, data.size('TRAIN'));
  const augment = isAugmented(plan.augmentation)
    ? (index: number) => drawAugmentation(plan.augmentation, plan.seed, epoch, index)
    : undefined;
  yield* batches(data, 'TRAIN', normalisation, order.subarray(first * plan.batchSize), plan.batchSize, augment);
}

/** A whole split in its own order, as it is. */
export function* evaluationBatches(
  data: DataSource,
  split: Split,
  normalisation: Normalisation,
  batchSize: number,
): Generator<Batch> {
  const order = Uint32Array.from({ length: data.size(split) }, (_, index) => index);
  yield* batches(data, split, normalisation, order, batchSize);
}

function* batches(
  data: DataSource,
  split: Split,
  normalisation: Normalisation,
  order: Uint32Array,
  batchSize: number,
  augment: (index: number) => Augmentation = () => UNCHANGED,
): Generator<Batch> {
  const { shape } = data;
  const imageSize = shape.height * shape.width * shape.channels;
  const tables = normalisationTables(normalisation);
  const allLabels = data.labels(split);
  const most = Math.min(batchSize, order.length);
  const pixels = new Uint8Array(most * imageSize);
  const buffers = [0, 1].map(() => ({ images: new Float32Array(most * imageSize), labels: new Int32Array(most) }));
  for (let start = 0, turn = 0; start < order.length; start += batchSize, turn ^= 1) {
    const indices = order.subarray(start, start + batchSize);
    const size = indices.length;
    const images = buffers[turn]!.images.subarray(0, size * imageSize);
    const labels = buffers[turn]!.labels.subarray(0, size);
    data.gather(split, indices, pixels.subarray(0, size * imageSize));
    for (let place = 0; place < size; place++) {
      labels[place] = allLabels[indices[place]!]!;
      writeImage(pixels, images, place * imageSize, shape, tables, augment(indices[place]!));
    }
    yield { size, images, labels };
  }
}

/** One image from 8 bit to normalised float; what the crop takes from outside the image is 0. */
function writeImage(
  pixels: Uint8Array,
  images: Float32Array,
  offset: number,
  { height, width, channels }: ImageShape,
  tables: Float32Array,
  { top, left, flip }: Augmentation,
): void {
  const columnStep = flip ? -channels : channels;
  // Columns of the result whose source lies inside the image.
  const firstColumn = Math.max(0, -left);
  const lastColumn = Math.min(width, width - left);
  for (let y = 0; y < height; y++) {
    const row = offset + y * width * channels;
    const sourceY = y + top;
    if (sourceY < 0 || sourceY >= height || firstColumn >= lastColumn) {
      images.fill(0, row, row + width * channels);
      continue;
    }
    if (lastColumn - firstColumn < width) images.fill(0, row, row + width * channels);
    let source = offset + (sourceY * width + firstColumn + left) * channels;
    let target = row + (flip ? width - 1 - firstColumn : firstColumn) * channels;
    for (let x = firstColumn; x < lastColumn; x++) {
      for (let channel = 0; channel < channels; channel++)
        images[target + channel] = tables[channel * 256 + pixels[source + channel]!]!;
      source += channels;
      target += columnStep;
    }
  }
}
