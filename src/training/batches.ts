import { normalisationTables, type Normalisation } from '../domain/normalisation.js';
import type { TrainingPlan } from '../domain/plan.js';
import { permutation, STREAM } from '../domain/seed.js';
import { drawAugmentation, isAugmented, UNCHANGED, type Augmentation } from './augment.js';
import type { Batch, Mix } from './engine.js';
import { applyMix, drawMix, type BatchMix } from './mix.js';
import { imageWriter, type ImageShape } from './write-image.js';

export type { ImageShape };
export type Split = 'TRAIN' | 'TEST';

/** Where images come from: decoded pixels at hand, read synchronously. */
export interface DataSource {
  readonly shape: ImageShape;
  size(split: Split): number;
  /** (N) */
  labels(split: Split): Int32Array;
  /** Writes the images of `indices` one behind the other, HWC, 8 bit. */
  gather(split: Split, indices: ArrayLike<number>, into: Uint8Array): void;
}

/**
 * The batches of one epoch from number `first` on, in the order that (seed, epoch) decide; the last one holds what is
 * left. A batch's buffers are used again two batches later, so the next may be made while an engine reads this one.
 * @param images which of TRAIN train.
 */
export function* trainingBatches(
  data: DataSource,
  normalisation: Normalisation,
  plan: Pick<TrainingPlan, 'batchSize' | 'augmentation' | 'seed'>,
  epoch: number,
  first = 0,
  images = everyImage(data, 'TRAIN'),
): Generator<Batch> {
  const { batchSize, augmentation, seed } = plan;
  const { shape } = data;
  const order = permutation(seed, STREAM.shuffle, epoch, images.length).map((place) => images[place]!);
  yield* batches(data, 'TRAIN', normalisation, order.subarray(first * batchSize), batchSize, {
    augment: isAugmented(augmentation)
      ? (index) => drawAugmentation(augmentation, shape, seed, epoch, index)
      : undefined,
    mix: (batch, size) => drawMix(augmentation, shape, seed, epoch, first + batch, size),
  });
}

/** Images of a split in their own order, as they are. */
export function* evaluationBatches(
  data: DataSource,
  split: Split,
  normalisation: Normalisation,
  batchSize: number,
  images = everyImage(data, split),
): Generator<Batch> {
  yield* batches(data, split, normalisation, images, batchSize);
}

const everyImage = (data: DataSource, split: Split): Uint32Array =>
  Uint32Array.from({ length: data.size(split) }, (_, index) => index);

interface Changes {
  readonly augment?: ((index: number) => Augmentation) | undefined;
  /** By the batch's number from 0 and its size. */
  readonly mix?: (batch: number, size: number) => BatchMix | undefined;
}

function* batches(
  data: DataSource,
  split: Split,
  normalisation: Normalisation,
  order: Uint32Array,
  batchSize: number,
  { augment = () => UNCHANGED, mix = () => undefined }: Changes = {},
): Generator<Batch> {
  const { shape } = data;
  const imageSize = shape.height * shape.width * shape.channels;
  const writeImage = imageWriter(shape, normalisationTables(normalisation));
  const allLabels = data.labels(split);
  const most = Math.min(batchSize, order.length);
  const pixels = new Uint8Array(most * imageSize);
  const buffers = [0, 1].map(() => new BatchBuffers(most, imageSize));
  for (let start = 0, number = 0; start < order.length; start += batchSize, number++) {
    const indices = order.subarray(start, start + batchSize);
    const batch = buffers[number & 1]!.batch(indices.length);
    data.gather(split, indices, pixels.subarray(0, batch.images.length));
    for (let place = 0; place < batch.size; place++) {
      batch.labels[place] = allLabels[indices[place]!]!;
      writeImage(pixels, batch.images, place * imageSize, augment(indices[place]!));
    }
    const mixed = mix(number, batch.size);
    if (!mixed) {
      yield batch;
      continue;
    }
    applyMix(batch.images, shape, mixed);
    yield { ...batch, mix: buffers[number & 1]!.mix(batch.labels, mixed) };
  }
}

/** Memory of one batch after another. */
class BatchBuffers {
  private readonly images: Float32Array;
  private readonly labels: Int32Array;
  private readonly others: Int32Array;
  private readonly shares: Float32Array;

  constructor(
    most: number,
    private readonly imageSize: number,
  ) {
    this.images = new Float32Array(most * imageSize);
    this.labels = new Int32Array(most);
    this.others = new Int32Array(most);
    this.shares = new Float32Array(most);
  }

  batch(size: number): Batch {
    return { size, images: this.images.subarray(0, size * this.imageSize), labels: this.labels.subarray(0, size) };
  }

  mix(labels: Int32Array, { partners, share }: BatchMix): Mix {
    const others = this.others.subarray(0, labels.length);
    partners.forEach((partner, place) => (others[place] = labels[partner]!));
    return { labels: others, shares: this.shares.subarray(0, labels.length).fill(share) };
  }
}
