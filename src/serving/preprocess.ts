import pLimit from 'p-limit';
import { writeNormalised } from '../domain/normalisation.js';
import { badInput, tooLarge } from '../errors.js';
import { decodeImage, ImageError, type ImageShape } from '../infra/images.js';

/** What the network takes. */
export interface ImageInput {
  readonly shape: ImageShape;
  /** Of `normalisationTables`. */
  readonly tables: Float32Array;
}

/**
 * Decodes run in libuv's pool, which has four threads: more at once would only hold memory. Measured on two cores:
 * 32x32 PNGs (those that plain-png.ts leaves to libvips) at 2,100 a second with one in flight, 4,200 with four; 640x480
 * JPEGs at 280 and 480, no more with eight.
 */
const DECODES_AT_ONCE = 4;

/** Decoding for all requests of the process. */
export class Preprocessor {
  readonly #limit = pLimit(DECODES_AT_ONCE);

  constructor(private readonly options: { readonly maxPixels: number }) {}

  /**
   * Encoded images (PNG, JPEG, WebP) as a network's input.
   * @param field dotted path of the list, for the errors
   * @returns (N, C, H, W) float32, normalised
   * @throws BAD_USER_INPUT for what is no image, PAYLOAD_TOO_LARGE for what has too many pixels, on `field.index`
   */
  async preprocess(
    images: readonly Uint8Array[],
    input: ImageInput,
    field: string,
    signal?: AbortSignal,
  ): Promise<Float32Array> {
    const { height, width, channels } = input.shape;
    const imageLength = height * width * channels;
    const inputs = new Float32Array(images.length * imageLength);
    const decode = async (image: Uint8Array, index: number) => {
      signal?.throwIfAborted();
      const pixels = await this.#decode(image, input.shape, `${field}.${index}`);
      writeNormalised(pixels, inputs.subarray(index * imageLength, (index + 1) * imageLength), input.tables);
    };
    const decoded = await Promise.allSettled(images.map((image, index) => this.#limit(decode, image, index)));
    // The first in the request's order, so that the same request always gives the same error.
    for (const result of decoded) if (result.status === 'rejected') throw result.reason;
    return inputs;
  }

  async #decode(image: Uint8Array, shape: ImageShape, field: string): Promise<Uint8Array> {
    try {
      return await decodeImage(image, shape, this.options.maxPixels);
    } catch (error) {
      if (!(error instanceof ImageError)) throw error;
      throw error.reason === 'too-large' ? tooLarge(error.message, field) : badInput(field, error.message);
    }
  }
}
