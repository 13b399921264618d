import sharp, { type Metadata } from 'sharp';
import { decodePlainPng } from './plain-png.js';

/**
 * The one way an image becomes pixels, for data sets and for predictions alike: what a network learned from is what it
 * is asked about.
 */

export interface ImageShape {
  readonly height: number;
  readonly width: number;
  /** 1: grey, 3: RGB. */
  readonly channels: number;
}

export class ImageError extends Error {
  override readonly name = 'ImageError';
  constructor(
    readonly reason: 'not-an-image' | 'too-large',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
  }
}

// None of the other readers (SVG, TIFF, PDF …) ever sees a byte that somebody sent us.
sharp.block({ operation: ['VipsForeignLoad'] });
sharp.unblock({ operation: ['Png', 'Jpeg', 'Webp'].map((format) => `VipsForeignLoad${format}Buffer`) });
// Images are decoded several at a time already, and the cores belong to the engine: one thread for each of them.
sharp.concurrency(1);
// No two images are alike, so a cache of decoded ones only costs memory.
sharp.cache(false);

/** So many are decoded sooner than another thread begins to. */
const SMALL_PIXELS = 64 * 64;

/**
 * Pixels in (H, W, C) order, 0 to 255: EXIF orientation applied, transparency laid on black, scaled to cover `shape`
 * and cropped at its centre, made grey (ITU-R BT.709 luminance, as libvips does) or RGB as `shape.channels` says. Of an
 * animation the first frame.
 * @param maxPixels width times height above which an image is refused before it is decoded
 * @throws ImageError
 */
export async function decodeImage(bytes: Uint8Array, shape: ImageShape, maxPixels: number): Promise<Uint8Array> {
  const { height, width, channels } = shape;
  const small = height * width <= Math.min(SMALL_PIXELS, maxPixels);
  const plain = small ? decodePlainPng(bytes, height, width, channels) : undefined;
  if (plain !== undefined) return plain;
  try {
    const pixels = await open(bytes, maxPixels)
      .autoOrient()
      .flatten({ background: '#000' })
      .resize(shape.width, shape.height, { fit: 'cover' })
      .toColourspace(shape.channels === 1 ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer();
    if (pixels.length !== shape.height * shape.width * shape.channels)
      throw new Error(`${pixels.length} bytes do not make ${JSON.stringify(shape)}`);
    return pixels;
  } catch (error) {
    // Whatever is wrong with the head is told more exactly by who reads nothing else.
    await probeImage(bytes, maxPixels);
    throw notAnImage(error);
  }
}

/**
 * Reads the head of an image alone: the shape that it would have undisturbed, upright.
 * @throws ImageError
 */
export async function probeImage(bytes: Uint8Array, maxPixels: number): Promise<ImageShape> {
  const { width, height, autoOrient, space } = await readMetadata(bytes);
  if (width * height > maxPixels)
    throw new ImageError('too-large', `${width} x ${height} pixels; at most ${maxPixels} are decoded`);
  return {
    height: autoOrient.height,
    width: autoOrient.width,
    channels: space === 'b-w' || space === 'grey16' ? 1 : 3,
  };
}

/** `pixels` in (H, W, C) order as a PNG. */
export async function encodePng(pixels: Uint8Array, shape: ImageShape): Promise<Buffer> {
  const { height, width, channels } = shape;
  return sharp(pixels, { raw: { height, width, channels: channels as 1 | 3 } })
    .toColourspace(channels === 1 ? 'b-w' : 'srgb')
    .png()
    .toBuffer();
}

async function readMetadata(bytes: Uint8Array): Promise<Metadata> {
  try {
    // The limit is ours to check: sharp's own error does not tell too large from broken.
    return await sharp(bytes, { limitInputPixels: false, failOn: 'error' }).metadata();
  } catch (error) {
    throw notAnImage(error);
  }
}

const open = (bytes: Uint8Array, maxPixels: number) => sharp(bytes, { limitInputPixels: maxPixels, failOn: 'error' });

function notAnImage(error: unknown): ImageError {
  const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
  return new ImageError('not-an-image', `not a PNG, JPEG or WebP image that can be read: ${reason}`, { cause: error });
}
