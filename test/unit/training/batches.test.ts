import { describe, expect, it } from 'vitest';
import { CounterRandom, STREAM } from '../../../src/domain/seed.js';
import { evaluationBatches, trainingBatches, type DataSource } from '../../../src/training/batches.js';

/** Images whose every pixel is known: value = (97 * image + 7 * y + 3 * x + channel) mod 256. */
function source(size: number, height: number, width: number, channels: number): DataSource {
  const pixel = (image: number, y: number, x: number, channel: number) => (97 * image + 7 * y + 3 * x + channel) % 256;
  const all = new Uint8Array(size * height * width * channels);
  let at = 0;
  for (let image = 0; image < size; image++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let channel = 0; channel < channels; channel++) all[at++] = pixel(image, y, x, channel);
  const bytes = height * width * channels;
  return {
    shape: { height, width, channels },
    size: () => size,
    labels: () => Int32Array.from({ length: size }, (_, index) => index),
    gather: (_split, indices, into) => {
      for (let place = 0; place < indices.length; place++)
        into.set(all.subarray(indices[place]! * bytes, (indices[place]! + 1) * bytes), place * bytes);
    },
  };
}

const normalisation = { mean: [0.5, 0.25, 0.125], std: [0.25, 0.5, 0] };
const plan = (given: { batchSize?: number; cropPadding?: number; horizontalFlip?: boolean; seed?: number } = {}) => ({
  batchSize: given.batchSize ?? 4,
  seed: given.seed ?? 0,
  augmentation: { cropPadding: given.cropPadding ?? 0, horizontalFlip: given.horizontalFlip ?? false },
});

/** Labels are image numbers here: every batch by image, copied out of its buffers. */
function collect(batches: Iterable<{ size: number; images: Float32Array; labels: Int32Array }>) {
  return [...mapped(batches)];
}
function* mapped(batches: Iterable<{ size: number; images: Float32Array; labels: Int32Array }>) {
  for (const { size, images, labels } of batches) yield { size, images: images.slice(), labels: [...labels] };
}

describe('the batches of an epoch', () => {
  it('hold every image once, the last batch what is left', () => {
    const batches = collect(trainingBatches(source(10, 2, 2, 3), normalisation, plan(), 0));
    expect(batches.map(({ size }) => size)).toEqual([4, 4, 2]);
    expect(batches.flatMap(({ labels }) => labels).sort((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(batches.at(-1)!.images.length).toBe(2 * 12);
  });

  it('come in another order each epoch and for each seed, the same each time', () => {
    const order = (seed: number, epoch: number) =>
      collect(trainingBatches(source(50, 1, 1, 3), normalisation, plan({ seed }), epoch))
        .flatMap(({ labels }) => labels)
        .join();
    expect(order(0, 0)).toBe(order(0, 0));
    expect(new Set([order(0, 0), order(0, 1), order(1, 0), order(-1, 0)]).size).toBe(4);
  });

  it('are the same from the middle on as from the start, augmented or not', () => {
    const data = source(10, 6, 5, 3);
    const augmented = plan({ cropPadding: 2, horizontalFlip: true });
    const whole = collect(trainingBatches(data, normalisation, augmented, 3));
    expect(collect(trainingBatches(data, normalisation, augmented, 3, 1))).toEqual(whole.slice(1));
    expect(collect(trainingBatches(data, normalisation, augmented, 3, 3))).toEqual([]);
  });

  it('leave one batch alone while the next is made', () => {
    const batches = trainingBatches(source(12, 2, 2, 3), normalisation, plan(), 0);
    const first = batches.next().value!;
    const before = first.images.slice();
    batches.next();
    expect(first.images).toEqual(before);
  });
});

it('evaluation sees every image in its own order, as it is, normalised by channel', () => {
  const [batch] = collect(evaluationBatches(source(3, 2, 2, 3), 'TEST', normalisation, 8));
  expect(batch!.labels).toEqual([0, 1, 2]);
  const at = (image: number, y: number, x: number, channel: number) =>
    batch!.images[((image * 2 + y) * 2 + x) * 3 + channel]!;
  expect(at(1, 1, 0, 0)).toBeCloseTo(((97 + 7) / 255 - 0.5) / 0.25, 5);
  expect(at(2, 0, 1, 1)).toBeCloseTo(((194 + 3 + 1) / 255 - 0.25) / 0.5, 5);
  // Without variation: shifted, not scaled.
  expect(at(0, 0, 0, 2)).toBeCloseTo(2 / 255 - 0.125, 5);
});

describe('augmentation', () => {
  const data = source(64, 7, 5, 3);
  const bySize = (given: Parameters<typeof plan>[0], epoch = 0) => {
    const images = new Map<number, Float32Array>();
    for (const batch of collect(trainingBatches(data, normalisation, plan(given), epoch)))
      batch.labels.forEach((label, place) => images.set(label, batch.images.slice(place * 105, (place + 1) * 105)));
    return images;
  };

  /** What it should be, the slow way: pad, crop, flip. */
  function expected(plain: Float32Array, top: number, left: number, flip: boolean): Float32Array {
    const result = new Float32Array(105);
    for (let y = 0; y < 7; y++)
      for (let x = 0; x < 5; x++)
        for (let channel = 0; channel < 3; channel++) {
          const [fromY, fromX] = [y + top, (flip ? 4 - x : x) + left];
          if (fromY >= 0 && fromY < 7 && fromX >= 0 && fromX < 5)
            result[(y * 5 + x) * 3 + channel] = plain[(fromY * 5 + fromX) * 3 + channel]!;
        }
    return result;
  }

  it.each([0, 1, 3, 7])('crops out of a frame of %i zeros and mirrors, in every way that there is', (cropPadding) => {
    const plain = bySize({});
    const seen = new Set<string>();
    for (const epoch of [0, 1, 2, 3])
      for (const [image, pixels] of bySize({ cropPadding, horizontalFlip: true }, epoch)) {
        const random = new CounterRandom(0, STREAM.augment, epoch, image);
        const top = random.integer(2 * cropPadding + 1) - cropPadding;
        const left = random.integer(2 * cropPadding + 1) - cropPadding;
        const flip = random.uniform() < 0.5;
        seen.add(`${top},${left},${flip}`);
        expect(pixels).toEqual(expected(plain.get(image)!, top, left, flip));
      }
    expect(seen.size).toBeGreaterThan(cropPadding === 0 ? 1 : 15);
  });

  it('of an image does not depend on the batch size, nor one kind on whether the other is on', () => {
    expect(bySize({ cropPadding: 2, batchSize: 4 })).toEqual(bySize({ cropPadding: 2, batchSize: 64 }));
    const both = bySize({ cropPadding: 2, horizontalFlip: true });
    const cropped = bySize({ cropPadding: 2 });
    const mirrored = [...both].filter(([image, pixels]) => String(pixels) !== String(cropped.get(image)));
    expect(mirrored.length).toBeGreaterThan(16);
    expect(mirrored.length).toBeLessThan(48);
    for (const [image, pixels] of mirrored) expect(pixels).toEqual(expected(cropped.get(image)!, 0, 0, true));
  });
});

it('makes an augmented batch of 128 32x32 colour images in a few milliseconds', () => {
  const batches = trainingBatches(
    source(128 * 40, 32, 32, 3),
    normalisation,
    plan({ batchSize: 128, cropPadding: 4, horizontalFlip: true }),
    0,
  );
  for (let warm = 0; warm < 10; warm++) batches.next();
  const times = Array.from({ length: 29 }, () => {
    const started = performance.now();
    batches.next();
    return performance.now() - started;
  }).sort((a, b) => a - b);
  // The machine may be busy with other tests, so the best of them counts.
  expect(times[0]).toBeLessThan(5);
});
