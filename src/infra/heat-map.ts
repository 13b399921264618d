import sharp from 'sharp';
import { decodeImage, encodePng } from './images.js';
import { INFERNO } from './inferno.js';

/** A value for each place of a grid that lies over an image. */
export interface HeatMap {
  readonly height: number;
  readonly width: number;
  /** (height, width) */
  readonly values: Float32Array;
}

/** The share of a drawn pixel that is the heat's colour; the rest is the image. */
export const HEAT_OPACITY = 0.5;

/**
 * A PNG of the image (see `decodeImage` for how it is made to fit `size`) under the colours of the map: its smallest
 * value is the coldest of `inferno`, its largest the hottest, and between two places it is bilinear. A map that is the
 * same everywhere is cold.
 * @throws ImageError
 */
export async function drawHeatMap(
  image: Uint8Array,
  map: HeatMap,
  size: { readonly height: number; readonly width: number },
  maxPixels: number,
): Promise<Buffer> {
  const shape = { ...size, channels: 3 };
  const [pixels, heat] = await Promise.all([decodeImage(image, shape, maxPixels), enlarge(levels(map), map, size)]);
  for (let place = 0; place < heat.length; place++)
    for (let channel = 0; channel < 3; channel++) {
      const colour = INFERNO[heat[place]! * 3 + channel]!;
      const at = place * 3 + channel;
      pixels[at] = Math.round(HEAT_OPACITY * colour + (1 - HEAT_OPACITY) * pixels[at]!);
    }
  return encodePng(pixels, shape);
}

/** 0 to 255 */
function levels({ values }: HeatMap): Uint8Array {
  const least = values.reduce((smallest, value) => Math.min(smallest, value));
  const range = values.reduce((largest, value) => Math.max(largest, value)) - least;
  return Uint8Array.from(values, (value) => (range > 0 ? Math.round((255 * (value - least)) / range) : 0));
}

async function enlarge(
  values: Uint8Array,
  { height, width }: HeatMap,
  size: { readonly height: number; readonly width: number },
): Promise<Uint8Array> {
  return sharp(values, { raw: { height, width, channels: 1 } })
    .resize(size.width, size.height, { fit: 'fill', kernel: 'linear' })
    .toColourspace('b-w')
    .raw({ depth: 'uchar' })
    .toBuffer();
}
