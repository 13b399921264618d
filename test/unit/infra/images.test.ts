import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodeImage, encodePng, probeImage } from '../../../src/infra/images.js';
import { pngHead } from '../../helpers/dataset-files.js';

const MAX_PIXELS = 1_000_000;
const shape = { height: 6, width: 8, channels: 3 };
const grey = { ...shape, channels: 1 };
/** Values that differ from pixel to pixel. */
const values = (count: number) => Uint8Array.from({ length: count }, (_, index) => (index * 37) % 256);
const raw = (channels: 1 | 2 | 3 | 4, pixels = values(48 * channels)) => sharp(pixels, { raw: { height: 6, width: 8, channels } });
const decode = (bytes: Uint8Array, to = shape) => decodeImage(bytes, to, MAX_PIXELS);

describe('an image becomes pixels', () => {
  it.each([grey, shape])('unchanged where it has the shape already: %o', async (same) => {
    const pixels = values(48 * same.channels);
    const png = await encodePng(pixels, same);
    expect(await probeImage(png, MAX_PIXELS)).toEqual(same);
    expect([...(await decode(png, same))]).toEqual([...pixels]);
  });

  it('with 16 bits a channel as with 8', async () => {
    const deep = await raw(3).toColourspace('rgb16').png().toBuffer();
    expect([...(await decode(deep))]).toEqual([...values(144)]);
  });

  it('of any kind of colour', async () => {
    const kinds = [
      raw(1).toColourspace('b-w').png(),
      raw(2).toColourspace('b-w').png(),
      raw(4).png(),
      raw(3).png({ palette: true }),
      raw(3).toColourspace('cmyk').jpeg(),
      raw(3).webp({ lossless: true }),
      raw(4).webp(),
    ];
    for (const kind of kinds)
      for (const to of [shape, grey]) {
        const pixels = await decode(await kind.clone().toBuffer(), to);
        expect(pixels).toHaveLength(48 * to.channels);
        expect(new Set(pixels).size).toBeGreaterThan(16);
      }
  });

  it('of the same grey in each channel where a grey one becomes RGB', async () => {
    const pixels = await decode(await raw(1).toColourspace('b-w').png().toBuffer());
    expect([...pixels]).toEqual([...values(48)].flatMap((value) => [value, value, value]));
  });

  it('with what is transparent laid on black', async () => {
    const clear = Uint8Array.from({ length: 48 * 4 }, (_, index) => (index % 4 === 3 ? 0 : 200));
    expect([...(await decode(await raw(4, clear).png().toBuffer()))]).toEqual(new Array(144).fill(0));
  });

  it('upright, as EXIF says', async () => {
    // Left half black, right half white; orientation 6 is to be turned by a quarter clockwise: black comes out on top.
    const halves = Uint8Array.from({ length: 144 }, (_, index) => (index % 24 < 12 ? 0 : 255));
    const turned = await raw(3, halves).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toBuffer();
    const upright = { height: 8, width: 6, channels: 1 };
    expect(await probeImage(turned, MAX_PIXELS)).toEqual({ ...upright, channels: 3 });
    const pixels = await decode(turned, upright);
    expect(Math.max(...pixels.subarray(0, 18))).toBeLessThan(40);
    expect(Math.min(...pixels.subarray(30))).toBeGreaterThan(215);
  });

  it('scaled to cover the shape and cropped at the centre', async () => {
    // 32 x 8, white in the middle 8 x 8: a square shape sees white alone.
    const band = Uint8Array.from({ length: 256 }, (_, index) => (index % 32 >= 12 && index % 32 < 20 ? 255 : 0));
    const wide = await sharp(band, { raw: { height: 8, width: 32, channels: 1 } })
      .toColourspace('b-w')
      .png()
      .toBuffer();
    const pixels = await decode(wide, { height: 8, width: 8, channels: 1 });
    expect([...pixels]).toEqual(new Array(64).fill(255));
  });
});

describe('what is no image that we read is refused', () => {
  const others = {
    'an SVG': async () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    'a GIF': async () => raw(3).gif().toBuffer(),
    'a TIFF': async () => raw(3).tiff().toBuffer(),
    nothing: async () => Buffer.alloc(0),
    'a text': async () => Buffer.from('hello'),
    'a PNG that is cut off': async () => (await raw(3).png().toBuffer()).subarray(0, -40),
    'a JPEG that is cut off': async () => (await raw(3).jpeg().toBuffer()).subarray(0, -40),
    'a WebP that is cut off': async () => (await raw(3).webp().toBuffer()).subarray(0, -20),
    'the head of a PNG': async () => pngHead(60, 80),
  };
  it.each(Object.entries(others))('%s', async (_, make) => {
    await expect(decode(await make())).rejects.toMatchObject({ name: 'ImageError', reason: 'not-an-image' });
  });

  it('an image of too many pixels, before any of them is decoded', async () => {
    const bomb = await sharp({ create: { height: 1_001, width: 1_000, channels: 3, background: '#000' } })
      .png()
      .toBuffer();
    await expect(decode(bomb)).rejects.toMatchObject({ reason: 'too-large', message: '1000 x 1001 pixels; at most 1000000 are decoded' });
    await expect(decodeImage(pngHead(30_000, 30_000), shape, 50_000_000)).rejects.toMatchObject({ reason: 'too-large' });
  });
});
