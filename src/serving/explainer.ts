import pLimit from 'p-limit';
import { drawHeatMap } from '../infra/heat-map.js';
import { probeImage, type ImageShape } from '../infra/images.js';

/** A batch's class activation maps: (N) of (H', W'). */
export interface ActivationMaps {
  readonly shape: readonly [height: number, width: number];
  readonly maps: readonly Float32Array[];
}

/** libuv's pool has four threads, and decoding for other requests needs some of them. */
const DRAWN_AT_ONCE = 2;
/** Of the longer side, unless the network itself takes more: what a page shows, at some hundred KB a PNG. */
const MAX_SIDE = 512;

/** Draws explanations for all requests of the process. */
export class Explainer {
  readonly #limit = pLimit(DRAWN_AT_ONCE);

  constructor(private readonly options: { readonly maxPixels: number }) {}

  /**
   * PNGs of what the network saw of each image, under the heat of its class activation map.
   * @param images that were decoded before, so that none of them is at fault
   * @param input what the network takes
   */
  async explain(
    images: readonly Uint8Array[],
    { shape: [height, width], maps }: ActivationMaps,
    input: ImageShape,
    signal?: AbortSignal,
  ): Promise<Buffer[]> {
    const { maxPixels } = this.options;
    const draw = async (image: Uint8Array, index: number) => {
      signal?.throwIfAborted();
      const size = drawnSize(await probeImage(image, maxPixels), input);
      return drawHeatMap(image, { height, width, values: maps[index]! }, size, maxPixels);
    };
    return Promise.all(images.map((image, index) => this.#limit(draw, image, index)));
  }
}

/** The image's own resolution, cut to the network's proportions: neither above MAX_SIDE nor below the network's. */
export function drawnSize(image: ImageShape, { height, width }: ImageShape): { height: number; width: number } {
  const own = Math.min(image.height / height, image.width / width);
  const scale = Math.max(1, Math.min(own, MAX_SIDE / Math.max(height, width)));
  return { height: Math.round(height * scale), width: Math.round(width * scale) };
}
