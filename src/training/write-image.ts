import type { Augmentation, Rectangle } from './augment.js';

/** Pixels to what an engine reads: one image, HWC, from 8 bit to normalised float, augmented on the way. */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** `offset`: of the image, in `pixels` and in the result alike. */
export type WriteImage = (pixels: Uint8Array, images: Float32Array, offset: number, change: Augmentation) => void;

/** @param tables what each of 256 values becomes, channel by channel. */
export function imageWriter(shape: ImageShape, tables: Float32Array): WriteImage {
  const resize = partWriter(shape, tables);
  const copy = shape.channels === 3 ? copyThreeChannels : copyChannels(shape.channels);
  return (pixels, images, offset, change) => {
    if (change.part) resize(pixels, images, offset, change.part, change.flip);
    else writeShifted(pixels, images, offset, shape, tables, change, copy);
    if (change.erased) erase(images, offset, shape, change.erased);
  };
}

/** What the crop takes from outside the image is 0. */
function writeShifted(
  pixels: Uint8Array,
  images: Float32Array,
  offset: number,
  { height, width, channels }: ImageShape,
  tables: Float32Array,
  { top, left, flip }: Augmentation,
  copy: CopyPixels,
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
    const source = offset + (sourceY * width + firstColumn + left) * channels;
    const target = row + (flip ? width - 1 - firstColumn : firstColumn) * channels;
    copy(pixels, source, images, target, lastColumn - firstColumn, columnStep, tables);
  }
}

/** `count` pixels from `source` on to `target` on, there `step` apart. */
type CopyPixels = (
  pixels: Uint8Array,
  source: number,
  images: Float32Array,
  target: number,
  count: number,
  step: number,
  tables: Float32Array,
) => void;

// As functions of one row each V8 compiles these loops to half the time that they take inside of the loop over rows.

/** The usual number, written out, takes two thirds of the time. */
const copyThreeChannels: CopyPixels = (pixels, source, images, target, count, step, tables) => {
  for (let i = 0; i < count; i++) {
    images[target] = tables[pixels[source]!]!;
    images[target + 1] = tables[256 + pixels[source + 1]!]!;
    images[target + 2] = tables[512 + pixels[source + 2]!]!;
    source += 3;
    target += step;
  }
};

const copyChannels =
  (channels: number): CopyPixels =>
  (pixels, source, images, target, count, step, tables) => {
    for (let channel = 0; channel < channels; channel++)
      for (let i = 0; i < count; i++)
        images[target + channel + i * step] = tables[channel * 256 + pixels[source + channel + i * channels]!]!;
  };

/**
 * Resizes a part to the whole, bilinearly between pixel centres: pixel t of the result lies at
 * (t + 0.5) * part / whole - 0.5 of the part, held within it (torch's `align_corners=False`; PIL's BILINEAR, but for
 * its rounding to 8 bits). A part is never larger than the whole, so torchvision's `antialias` would change nothing.
 */
function partWriter({ height, width, channels }: ImageShape, tables: Float32Array) {
  const before = new Uint32Array(width);
  const after = new Uint32Array(width);
  const shares = new Float32Array(width);
  const rows = [new Float32Array(width * channels), new Float32Array(width * channels)] as const;

  /** One row of the part, resized to the width: (W, C). */
  function resizeRow(pixels: Uint8Array, source: number, into: Float32Array): void {
    for (let x = 0, target = 0; x < width; x++) {
      const [first, second, share] = [source + before[x]!, source + after[x]!, shares[x]!];
      for (let channel = 0; channel < channels; channel++, target++) {
        const value = tables[channel * 256 + pixels[first + channel]!]!;
        into[target] = value + share * (tables[channel * 256 + pixels[second + channel]!]! - value);
      }
    }
  }

  return (pixels: Uint8Array, images: Float32Array, offset: number, part: Rectangle, flip: boolean): void => {
    for (let x = 0; x < width; x++) {
      const at = sourceOf(flip ? width - 1 - x : x, part.width, width);
      const column = Math.floor(at);
      before[x] = (part.left + column) * channels;
      after[x] = (part.left + Math.min(column + 1, part.width - 1)) * channels;
      shares[x] = at - column;
    }
    // Rows of the part that `rows` hold, each in the place of its number's last bit.
    const held = [-1, -1];
    const rowOf = (row: number) => {
      const into = rows[row & 1]!;
      if (held[row & 1] !== row) resizeRow(pixels, offset + (part.top + row) * width * channels, into);
      held[row & 1] = row;
      return into;
    };
    for (let y = 0; y < height; y++) {
      const at = sourceOf(y, part.height, height);
      const row = Math.floor(at);
      const share = at - row;
      const [upper, lower] = [rowOf(row), rowOf(Math.min(row + 1, part.height - 1))];
      const target = offset + y * width * channels;
      for (let i = 0; i < width * channels; i++) images[target + i] = upper[i]! + share * (lower[i]! - upper[i]!);
    }
  };
}

function sourceOf(target: number, part: number, whole: number): number {
  return Math.min(Math.max(((target + 0.5) * part) / whole - 0.5, 0), part - 1);
}

function erase(images: Float32Array, offset: number, { width, channels }: ImageShape, erased: Rectangle): void {
  for (let y = erased.top; y < erased.top + erased.height; y++) {
    const start = offset + (y * width + erased.left) * channels;
    images.fill(0, start, start + erased.width * channels);
  }
}
