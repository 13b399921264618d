import pLimit from 'p-limit';
import { badInput, tooLarge } from '../errors.js';
import { decodeImage, ImageError, type ImageShape } from '../infra/images.js';

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
   * Encoded images (PNG, JPEG, WebP) as pixels of a network's shape.
   * @param field dotted path of the list, for the errors
   * @returns (N, H, W, C), which owns its buffer
   * @throws BAD_USER_INPUT for what is no image, PAYLOAD_TOO_LARGE for what has too many pixels, on `field.index`
   */
  async preprocess(
    images: readonly Uint8Array[],
    shape: ImageShape,
    field: string,
    signal?: AbortSignal,
  ): Promise<Uint8Array> {
    const imageLength = shape.height * shape.width * shape.channels;
    const pixels = new Uint8Array(images.length * imageLength);
    const decode = async (image: Uint8Array, index: number) => {
      signal?.throwIfAborted();
      pixels.set(await this.#decode(image, shape, `${field}.${index}`), index * imageLength);
    };
    const decoded = await Promise.allSettled(images.map((image, index) => this.#limit(decode, image, index)));
    // The first in the request's order, so that the same request always gives the same error.
    for (const result of decoded) if (result.status === 'rejected') throw result.reason;
    return pixels;
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
