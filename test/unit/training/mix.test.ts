import { describe, expect, it } from 'vitest';
import { normalisePlan, type PlanInput } from '../../../src/domain/plan.js';
import { trainingBatches, type DataSource } from '../../../src/training/batches.js';
import type { Batch } from '../../../src/training/engine.js';
import { applyMix, drawMix } from '../../../src/training/mix.js';

const SHAPE = { height: 6, width: 5, channels: 3 };
const SIZE = 90;
const plan = (input: NonNullable<PlanInput['augmentation']>) => normalisePlan({ augmentation: input }).augmentation;
const draw = (input: NonNullable<PlanInput['augmentation']>, batch: number, size = 16, shape = SHAPE) =>
  drawMix(plan(input), shape, 1, 2, batch, size)!;
const KINDS = [['mixup', { mixup: 0.4 }], ['cutmix', { cutmix: 1 }]] as const; // prettier-ignore
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);

/** What it should be, the slow way. */
function mixed(images: Float32Array, { partners, share, box }: ReturnType<typeof draw>): Float32Array {
  return images.map((value, i) => {
    const [image, y, x] = [Math.floor(i / SIZE), Math.floor((i % SIZE) / 15), Math.floor((i % 15) / 3)];
    const other = images[partners[image]! * SIZE + (i % SIZE)]!;
    if (!box) return share * value + (1 - share) * other;
    return y >= box.top && y < box.top + box.height && x >= box.left && x < box.left + box.width ? other : value;
  });
}

describe('a mixture of a batch', () => {
  it('is decided by seed, epoch and batch number, and drawn only where the plan has one', () => {
    expect(drawMix(plan({}), SHAPE, 1, 2, 3, 16)).toBeUndefined();
    expect(drawMix({ cropPadding: 4, horizontalFlip: true }, SHAPE, 1, 2, 3, 16)).toBeUndefined();
    const [one, again] = [draw({ mixup: 0.4 }, 3), draw({ mixup: 0.4 }, 3)];
    expect(again).toEqual(one);
    for (const [seed, epoch, batch] of [[0, 2, 3], [1, 0, 3], [1, 2, 4]] as const)
      expect(drawMix(plan({ mixup: 0.4 }), SHAPE, seed, epoch, batch, 16)).not.toEqual(one);
    expect(draw({ cutmix: 0.4 }, 3).partners).toEqual(one.partners);
  });

  it.each(KINDS)('%s is made in place, image by image, as if beside them', (_, input) => {
    for (const batch of numbers(40)) {
      for (const size of [1, 2, 7, 16]) {
        const mix = draw(input, batch, size);
        expect([...mix.partners].sort((a, b) => a - b)).toEqual(numbers(size));
        const images = Float32Array.from({ length: size * SIZE }, (_value, i) => (i * 7919) % 1009);
        const expected = mixed(images, mix);
        applyMix(images, SHAPE, mix);
        expect(images).toEqual(expected);
      }
    }
  });

  it('cutmix keeps of the label what it keeps of the pixels, to the pixel', () => {
    let cut = 0;
    for (const batch of numbers(200)) {
      const { share, box } = draw({ cutmix: 1 }, batch);
      const { top, left, height, width } = box!;
      expect(top >= 0 && left >= 0 && top + height <= 6 && left + width <= 5 && height >= 0 && width >= 0).toBe(true);
      expect(share).toBe(Math.fround(1 - (height * width) / 30));
      if (top === 0 || left === 0) cut++;
    }
    expect(cut).toBeGreaterThan(20);
  });

  it("cutmix's shares are spread as Beta(1, 1)'s, but for what the edges cut off", () => {
    const shares = numbers(4000).map((batch) => draw({ cutmix: 1 }, batch, 2, { height: 64, width: 64, channels: 1 }).share);
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    // The kept share's mean is 0.5 before the cut; the box loses some of its area at the edges, never gains.
    expect(mean).toBeGreaterThan(0.5);
    expect(mean).toBeLessThan(0.72);
  });

  it('is mixup or cutmix by a fair coin where the plan has both, each as it would be alone', () => {
    let boxes = 0;
    for (const batch of numbers(2000)) {
      const both = draw({ mixup: 0.2, cutmix: 1 }, batch, 2);
      if (both.box) boxes++;
      expect(both).toEqual(draw(both.box ? { cutmix: 1 } : { mixup: 0.2 }, batch, 2));
    }
    expect(boxes / 2000).toBeCloseTo(0.5, 1);
  });
});

describe('the batches of an epoch that mixes', () => {
  const bytes = Uint8Array.from({ length: 10 * SIZE }, (_, i) => (i * 31) % 256);
  const data: DataSource = {
    shape: SHAPE,
    size: () => 10,
    labels: () => Int32Array.from({ length: 10 }, (_, index) => index),
    gather: (_split, indices, into) => {
      for (let place = 0; place < indices.length; place++)
        into.set(bytes.subarray(indices[place]! * SIZE, (indices[place]! + 1) * SIZE), place * SIZE);
    },
  };
  const normalisation = { mean: [0.5, 0.4, 0.3], std: [0.2, 0.3, 0.4] };
  const collect = (input: NonNullable<PlanInput['augmentation']>, first = 0) =>
    [...copies(trainingBatches(data, normalisation, { batchSize: 4, augmentation: plan(input), seed: 1 }, 2, first))];
  function* copies(batches: Iterable<Batch>): Generator<Batch> {
    for (const { size, images, labels, mix } of batches) {
      const copied = mix && { labels: mix.labels.slice(), shares: mix.shares.slice() };
      yield { size, images: images.slice(), labels: labels.slice(), ...(copied && { mix: copied }) };
    }
  }

  it.each(KINDS)('carry both labels of each image and its share: %s', (_, input) => {
    const [plain, mixes] = [collect({}), collect(input)];
    expect(mixes.map(({ labels }) => labels)).toEqual(plain.map(({ labels }) => labels));
    for (const [number, batch] of mixes.entries()) {
      const mix = draw(input, number, batch.size);
      expect([...batch.mix!.labels]).toEqual([...mix.partners].map((partner) => batch.labels[partner]));
      expect([...batch.mix!.shares]).toEqual(Array(batch.size).fill(mix.share));
      expect(batch.images).toEqual(mixed(plain[number]!.images, mix));
    }
    expect(plain.some(({ mix }) => mix)).toBe(false);
  });

  it('are the same from the middle on as from the start', () => {
    const input = { mixup: 0.4, cutmix: 1, cropPadding: 1, randomErasing: 0.5 };
    expect(collect(input, 1)).toEqual(collect(input).slice(1));
  });
});
