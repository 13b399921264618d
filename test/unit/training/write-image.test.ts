import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { UNCHANGED } from '../../../src/training/augment.js';
import { imageWriter } from '../../../src/training/write-image.js';

const SHAPE = { height: 7, width: 5, channels: 2 };
const SIZE = 70;
const value = (y: number, x: number, channel: number) => (31 * y + 17 * x + 101 * channel) % 256;
const pixels = new Uint8Array(2 * SIZE);
for (let y = 0; y < 7; y++)
  for (let x = 0; x < 5; x++)
    for (let channel = 0; channel < 2; channel++) pixels[SIZE + (y * 5 + x) * 2 + channel] = value(y, x, channel);
/** The second channel is twice what it was, so that a mistaken one shows. */
const tables = Float32Array.from({ length: 512 }, (_, index) => (index < 256 ? index : 2 * (index - 256)));
const write = imageWriter(SHAPE, tables);

/** The second of two images. */
function written(change: Parameters<typeof write>[3]): Float32Array {
  const images = new Float32Array(2 * SIZE).fill(NaN);
  write(pixels, images, SIZE, change);
  expect(images.slice(0, SIZE)).toEqual(new Float32Array(SIZE).fill(NaN));
  return images.slice(SIZE);
}

interface Case {
  readonly part: readonly [number, number, number, number];
  readonly result: readonly number[];
}

describe('a part resized to the whole', () => {
  const cases = JSON.parse(readFileSync(`${import.meta.dirname}/resized-crop.json`, 'utf8')) as Case[];

  it.each(cases)("is PyTorch's bilinear interpolation of $part", ({ part: [top, left, height, width], result }) => {
    const part = { top, left, height, width };
    const expected = result.map((pixel, index) => (index % 2 === 0 ? pixel : 2 * pixel));
    const ours = written({ ...UNCHANGED, part });
    expected.forEach((pixel, index) => expect(ours[index]).toBeCloseTo(pixel, 3));
    const mirrored = written({ ...UNCHANGED, part, flip: true });
    expected.forEach((pixel, index) => {
      const [y, x, channel] = [Math.floor(index / 10), Math.floor(index / 2) % 5, index % 2];
      expect(mirrored[(y * 5 + 4 - x) * 2 + channel]).toBeCloseTo(pixel, 3);
    });
  });

  it('is the image itself where it is the whole', () => {
    const part = { top: 0, left: 0, height: 7, width: 5 };
    expect(written({ ...UNCHANGED, part })).toEqual(written(UNCHANGED));
  });
});

it('erases the rectangle and nothing else, of the image as it was cropped and mirrored', () => {
  const moved = { top: 1, left: -1, flip: true };
  const [plain, erased] = [written(moved), written({ ...moved, erased: { top: 2, left: 1, height: 3, width: 2 } })];
  for (let index = 0; index < SIZE; index++) {
    const [y, x] = [Math.floor(index / 10), Math.floor(index / 2) % 5];
    expect(erased[index]).toBe(y >= 2 && y < 5 && x >= 1 && x < 3 ? 0 : plain[index]);
  }
});
