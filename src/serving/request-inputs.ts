import { badInput } from '../errors.js';
import type { ImageShape } from '../infra/images.js';
import type { ResolvedVersion } from '../registry/resolve.js';

/** The images of a request. */
export type RequestInputs = EncodedImages | ImageTensor;

export interface EncodedImages {
  /** Dotted path of the list, for the errors. */
  readonly field: string;
  /** PNG, JPEG or WebP, 1 to 64. */
  readonly images: readonly Uint8Array[];
}

export interface ImageTensor {
  /** For the errors. */
  readonly field: string;
  /** [N, C, H, W] with N from 1 to 64, as the version's network takes it. */
  readonly shape: readonly number[];
  /** Normalised; the batcher may hand the buffer over, so do not use it afterwards. */
  readonly values: Float32Array;
}

const MAX_IMAGES = 64;

/** @throws BAD_USER_INPUT where there is no image, or there are too many */
export function countImages(inputs: RequestInputs): number {
  const count = 'images' in inputs ? inputs.images.length : inputs.shape[0]!;
  if (!Number.isInteger(count) || count < 1 || count > MAX_IMAGES)
    throw badInput(inputs.field, `${count} images; a request takes 1 to ${MAX_IMAGES}`);
  return count;
}

/** Memory that they take as what a network of this shape is given: pixels, or the tensor as it came. */
export const inputBytes = (inputs: RequestInputs, { channels, height, width }: ImageShape): number =>
  'images' in inputs ? inputs.images.length * channels * height * width : inputs.values.byteLength;

/** @throws BAD_USER_INPUT where it is not what the network takes */
export function checkTensor({ field, shape, values }: ImageTensor, { channels, height, width }: ImageShape): void {
  const [count = 0, ...image] = shape;
  const expected = [channels, height, width];
  if (image.length !== 3 || image.some((size, axis) => size !== expected[axis]))
    throw badInput(field, `shape [${shape.join(', ')}]; this model takes [N, ${expected.join(', ')}]`);
  const length = count * channels * height * width;
  if (values.length !== length)
    throw badInput(field, `${values.length} values; shape [${shape.join(', ')}] has ${length}`);
}

/** Of what a version's network takes. */
export const imageShape = ({ model: { height, width, channels } }: ResolvedVersion): ImageShape => ({
  height,
  width,
  channels,
});
