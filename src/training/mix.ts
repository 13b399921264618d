import { drawBeta } from '../domain/beta.js';
import type { AugmentationPlan } from '../domain/plan.js';
import { CounterRandom, permutation, STREAM } from '../domain/seed.js';
import type { Rectangle } from './augment.js';
import type { ImageShape } from './write-image.js';

/**
 * What is done to the images of one batch together: (seed, epoch, batch number) decide it, and the images that are in
 * that batch.
 *
 * mixup: H. Zhang et al., "mixup: beyond empirical risk minimization", 2018. cutmix: S. Yun et al., "CutMix:
 * regularization strategy to train strong classifiers with localizable features", 2019. As in both authors' programs,
 * every batch is mixed, by one share for all of its images, each with the image that a permutation of the batch gives.
 */
export interface BatchMix {
  /** What each image keeps of itself, and its label of the target, in [0, 1]; a float32. */
  readonly share: number;
  /** (N): whom each image is mixed with. */
  readonly partners: Uint32Array;
  /** What is the partner's; without it every pixel is mixed. */
  readonly box?: Rectangle | undefined;
}

/** Nothing where the plan mixes nothing; where it has both, a fair coin decides for the batch. */
export function drawMix(
  { mixup = 0, cutmix = 0 }: AugmentationPlan,
  shape: ImageShape,
  seed: number,
  epoch: number,
  batch: number,
  size: number,
): BatchMix | undefined {
  if (mixup === 0 && cutmix === 0) return undefined;
  const random = new CounterRandom(seed, STREAM.mix, epoch, batch);
  const heads = random.uniform() < 0.5;
  // Drawn for mixup too: each number has its place.
  const centre = { y: random.integer(shape.height), x: random.integer(shape.width) };
  const partners = permutation(seed, STREAM.partner, epoch, size, batch);
  if (cutmix === 0 || (mixup > 0 && heads)) return { share: Math.fround(drawBeta(random, mixup)), partners };
  const box = boxAround(centre, shape, 1 - drawBeta(random, cutmix));
  // The box as it was cut off by the image's edges.
  return { share: Math.fround(1 - (box.height * box.width) / (shape.height * shape.width)), partners, box };
}

interface Point {
  readonly y: number;
  readonly x: number;
}

/** Of `area` of the image, as high to wide as it, cut off at its edges. */
function boxAround({ y, x }: Point, { height, width }: ImageShape, area: number): Rectangle {
  const side = Math.sqrt(area);
  const [boxHeight, boxWidth] = [Math.floor(height * side), Math.floor(width * side)];
  const [top, left] = [Math.max(y - (boxHeight >> 1), 0), Math.max(x - (boxWidth >> 1), 0)];
  const bottom = Math.min(y - (boxHeight >> 1) + boxHeight, height);
  const right = Math.min(x - (boxWidth >> 1) + boxWidth, width);
  return { top, left, height: bottom - top, width: right - left };
}

/** Mixes `images` (N, H, W, C) in place. */
export function applyMix(images: Float32Array, shape: ImageShape, { partners, share, box }: BatchMix): void {
  const imageSize = shape.height * shape.width * shape.channels;
  const imageAt = (index: number) => images.subarray(index * imageSize, (index + 1) * imageSize);
  const blend = box
    ? (image: Float32Array, partner: Float32Array) => pasteBox(image, partner, shape, box)
    : (image: Float32Array, partner: Float32Array) => blendPixels(image, partner, share);
  // Along each cycle of the permutation an image is read before it is changed, but for the one that it starts at.
  const kept = new Float32Array(imageSize);
  const done = new Uint8Array(partners.length);
  for (let start = 0; start < partners.length; start++) {
    if (done[start]) continue;
    kept.set(imageAt(start));
    for (let index = start; !done[index]; index = partners[index]!) {
      done[index] = 1;
      const partner = partners[index]!;
      blend(imageAt(index), partner === start ? kept : imageAt(partner));
    }
  }
}

function blendPixels(image: Float32Array, partner: Float32Array, share: number): void {
  for (let i = 0; i < image.length; i++) image[i] = share * image[i]! + (1 - share) * partner[i]!;
}

function pasteBox(image: Float32Array, partner: Float32Array, shape: ImageShape, box: Rectangle): void {
  const { width, channels } = shape;
  for (let y = box.top; y < box.top + box.height; y++) {
    const start = (y * width + box.left) * channels;
    image.set(partner.subarray(start, start + box.width * channels), start);
  }
}
