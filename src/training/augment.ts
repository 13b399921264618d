import type { AugmentationPlan } from '../domain/plan.js';
import { CounterRandom, STREAM, type Stream } from '../domain/seed.js';

/**
 * What is done to one image in one epoch: (seed, epoch, index) alone decide it, so that any worker, resumed or not, in
 * any order, draws the same. Each number has its place in a sequence, and each kind of augmentation a sequence of its
 * own, so that switching one on leaves the others as they were.
 */
export interface Augmentation {
  /** Where the crop starts in the image as it was before padding: from -cropPadding to cropPadding. */
  readonly top: number;
  readonly left: number;
  readonly flip: boolean;
  /** What of the image is resized to the whole, before the flip. */
  readonly part?: Rectangle | undefined;
  /** What of the result becomes 0. */
  readonly erased?: Rectangle | undefined;
}

export interface Rectangle {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

export const UNCHANGED: Augmentation = { top: 0, left: 0, flip: false };

/** Of single images: mixtures are the batch's (`mix.ts`). */
export const isAugmented = ({ cropPadding, horizontalFlip, randomErasing = 0, randomResizedCrop }: AugmentationPlan) =>
  cropPadding > 0 || horizontalFlip || randomErasing > 0 || randomResizedCrop === true;

/** `index`: of the image in its data set. */
export function drawAugmentation(
  plan: AugmentationPlan,
  size: Size,
  seed: number,
  epoch: number,
  index: number,
): Augmentation {
  const random = new CounterRandom(seed, STREAM.augment, epoch, index);
  const range = 2 * plan.cropPadding + 1;
  const top = random.integer(range) - plan.cropPadding;
  const left = random.integer(range) - plan.cropPadding;
  const mirrored = random.uniform() < 0.5;
  const { randomErasing = 0, randomResizedCrop } = plan;
  const from = (stream: Stream) => new CounterRandom(seed, stream, epoch, index);
  return {
    top,
    left,
    flip: plan.horizontalFlip && mirrored,
    part: randomResizedCrop ? drawPart(from(STREAM.resizedCrop), size) : undefined,
    erased: randomErasing > 0 ? drawErased(from(STREAM.erase), size, randomErasing) : undefined,
  };
}

const TRIES = 10;

/**
 * Z. Zhong et al., "Random erasing data augmentation", 2017, with the numbers of torchvision's RandomErasing: a share
 * of 0.02 to 0.33 of the image, height : width from 0.3 to 3.3 evenly in its logarithm, smaller than the image in both
 * directions; nothing where ten tries find none.
 */
function drawErased(random: CounterRandom, size: Size, probability: number): Rectangle | undefined {
  if (random.uniform() >= probability) return undefined;
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = drawArea(random, size, 0.02, 0.33);
    const ratio = drawRatio(random, 0.3, 3.3);
    const [height, width] = [Math.round(Math.sqrt(area * ratio)), Math.round(Math.sqrt(area / ratio))];
    if (height < size.height && width < size.width) return place(random, size, height, width);
  }
  return undefined;
}

/**
 * C. Szegedy et al., "Going deeper with convolutions", 2014, with the numbers of torchvision's RandomResizedCrop: a
 * share of 0.08 to 1 of the image, width : height from 3/4 to 4/3 evenly in its logarithm; where ten tries find none
 * that fits, the largest part in the middle whose ratio lies between those.
 */
function drawPart(random: CounterRandom, size: Size): Rectangle {
  for (let attempt = 0; attempt < TRIES; attempt++) {
    const area = drawArea(random, size, 0.08, 1);
    const ratio = drawRatio(random, 3 / 4, 4 / 3);
    const [height, width] = [Math.round(Math.sqrt(area / ratio)), Math.round(Math.sqrt(area * ratio))];
    if (height > 0 && width > 0 && height <= size.height && width <= size.width)
      return place(random, size, height, width);
  }
  const height = Math.min(size.height, Math.round(size.width / (3 / 4)));
  const width = Math.min(size.width, Math.round(size.height * (4 / 3)));
  return { top: (size.height - height) >> 1, left: (size.width - width) >> 1, height, width };
}

const drawArea = (random: CounterRandom, { height, width }: Size, least: number, most: number) =>
  height * width * (least + (most - least) * random.uniform());

const drawRatio = (random: CounterRandom, least: number, most: number) => least * (most / least) ** random.uniform();

const place = (random: CounterRandom, size: Size, height: number, width: number): Rectangle => ({
  top: random.integer(size.height - height + 1),
  left: random.integer(size.width - width + 1),
  height,
  width,
});
