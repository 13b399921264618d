import { crc32, deflateSync } from 'node:zlib';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { decodePlainPng } from '../../../src/infra/plain-png.js';

const [HEIGHT, WIDTH] = [10, 7];
const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
const words = (...values: number[]) => {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, index) => bytes.writeUInt32BE(value, 4 * index));
  return bytes;
};
const chunk = (type: string, content: Uint8Array) => {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), content]);
  return Buffer.concat([words(content.length), body, words(crc32(body))]);
};
const head = (channels: number, last = [8, channels === 1 ? 0 : 2, 0, 0, 0], size = [WIDTH, HEIGHT]) =>
  chunk('IHDR', Buffer.concat([words(...size), Buffer.from(last)]));
const end = chunk('IEND', Buffer.alloc(0));
const pixelsOf = (channels: number) =>
  Uint8Array.from({ length: HEIGHT * WIDTH * channels }, (_, index) => 128 + 120 * Math.sin(index * index));

/** Its lines filtered in turn by each of the five filters (PNG specification, section 9). */
function filtered(pixels: Uint8Array, channels: number): Buffer {
  const stride = WIDTH * channels;
  const at = (y: number, x: number) => (y < 0 || x < 0 ? 0 : pixels[y * stride + x]!);
  const line = (_: unknown, y: number) => {
    const bytes = Array.from({ length: stride }, (_value, x) => {
      const [a, b, c] = [at(y, x - channels), at(y - 1, x), at(y - 1, x - channels)];
      const nearest = [a, b, c].toSorted((p, q) => Math.abs(a + b - c - p) - Math.abs(a + b - c - q))[0]!;
      return at(y, x) - [0, a, b, Math.floor((a + b) / 2), nearest][y % 5]!;
    });
    return Uint8Array.from([y % 5, ...bytes]);
  };
  return Buffer.concat(Array.from({ length: HEIGHT }, line));
}

const data = (channels: number) => deflateSync(filtered(pixelsOf(channels), channels));
const png = (channels: number, ...between: Buffer[]) =>
  Buffer.concat([SIGNATURE, head(channels), ...between, chunk('IDAT', data(channels)), end]);
const decode = (file: Uint8Array, channels = 3) => decodePlainPng(file, HEIGHT, WIDTH, channels);

describe('a plain PNG is read as libvips reads it', () => {
  it.each([1, 3])('through all filters, with %i channels', async (channels) => {
    expect(decode(png(channels), channels)).toEqual(pixelsOf(channels));
    const vips = await sharp(png(channels)).toColourspace(channels === 1 ? 'b-w' : 'srgb').raw().toBuffer();
    expect(new Uint8Array(vips)).toEqual(pixelsOf(channels));
  });

  it('with its data in several chunks, and with chunks that change no pixel', async () => {
    const whole = data(3);
    const parts = [whole.subarray(0, 9), whole.subarray(9, 9), whole.subarray(9)].map((part) => chunk('IDAT', part));
    expect(decode(Buffer.concat([SIGNATURE, head(3), ...parts, end]))).toEqual(pixelsOf(3));
    const harmless = {
      pHYs: Buffer.concat([words(2835, 1000), Buffer.from([1])]),
      gAMA: words(220_000),
      cHRM: words(31_270, 32_900, 73_500, 26_500, 11_500, 82_600, 15_700, 1_800),
      sRGB: Buffer.from([0]),
      tIME: Buffer.from([7, 234, 11, 27, 6, 0, 0]),
    };
    for (const [type, content] of Object.entries(harmless)) {
      const file = png(3, chunk(type, content));
      expect(decode(file)).toEqual(pixelsOf(3));
      expect(new Uint8Array(await sharp(file).toColourspace('srgb').raw().toBuffer())).toEqual(pixelsOf(3));
    }
  });

  it('from a view of a larger buffer', () => {
    const within = Buffer.concat([Buffer.alloc(5), png(3), Buffer.alloc(5)]);
    expect(decode(new Uint8Array(within).subarray(5, -5))).toEqual(pixelsOf(3));
  });
});

describe('what is not plain is left to libvips', () => {
  it('a file with any of its bytes changed, or cut off anywhere', () => {
    const sound = png(3, chunk('sRGB', Buffer.from([0])));
    for (let at = 0; at < sound.length; at++) {
      const damaged = Buffer.from(sound);
      damaged[at]! ^= 1;
      expect(decode(damaged), `byte ${at} changed`).toBeUndefined();
      expect(decode(sound.subarray(0, at)), `cut at ${at}`).toBeUndefined();
    }
    expect(decode(Buffer.concat([sound, Buffer.alloc(1)]))).toBeUndefined();
  });

  const content = (bytes: Uint8Array) => Buffer.concat([SIGNATURE, head(3), chunk('IDAT', deflateSync(bytes)), end]);
  const idat = chunk('IDAT', data(3));
  const others = {
    'another shape': Buffer.concat([SIGNATURE, head(3, undefined, [HEIGHT, WIDTH]), idat, end]),
    '16 bits': Buffer.concat([SIGNATURE, head(3, [16, 2, 0, 0, 0]), idat, end]),
    transparency: Buffer.concat([SIGNATURE, head(3, [8, 6, 0, 0, 0]), idat, end]),
    'a palette': Buffer.concat([SIGNATURE, head(3, [8, 3, 0, 0, 0]), idat, end]),
    'interlaced lines': Buffer.concat([SIGNATURE, head(3, [8, 2, 0, 0, 1]), idat, end]),
    'grey for RGB': png(1),
    'a transparent colour': png(3, chunk('tRNS', Buffer.alloc(6))),
    'a colour profile': png(3, chunk('iCCP', Buffer.alloc(20))),
    'an orientation': png(3, chunk('eXIf', Buffer.alloc(20))),
    'an animation': png(3, chunk('acTL', words(2, 0))),
    'no head': Buffer.concat([SIGNATURE, idat, end]),
    'two heads': png(3, head(3)),
    'no data': Buffer.concat([SIGNATURE, head(3), end]),
    'no end': Buffer.concat([SIGNATURE, head(3), idat]),
    'data in two places': Buffer.concat([SIGNATURE, head(3), idat, chunk('tIME', Buffer.alloc(7)), chunk('IDAT', Buffer.alloc(1)), end]),
    'a line too few': content(filtered(pixelsOf(3), 3).subarray(0, -(1 + 3 * WIDTH))),
    'a line too many': content(Buffer.concat([filtered(pixelsOf(3), 3), Buffer.alloc(1 + 3 * WIDTH)])),
    'a filter that there is not': content(Buffer.alloc(HEIGHT * (1 + 3 * WIDTH), 5)),
    nothing: Buffer.alloc(0),
  };
  it.each(Object.entries(others))('%s', (_, file) => {
    expect(decode(file)).toBeUndefined();
  });
});
