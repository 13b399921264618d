import { crc32, inflateSync } from 'node:zlib';

/**
 * PNGs of the plainest kind (PNG specification, third edition: 8 bits a sample, grey or RGB, not interlaced, nothing
 * that changes a colour), read on the thread that asks. libvips takes 0.4 ms of CPU for 32x32 pixels, much of it on the
 * event loop; this takes 0.04 ms.
 */

const SIGNATURE = Buffer.from('89504e470d0a1a0a', 'hex');
/** They say how large a pixel is, or what kind of sRGB this is: libvips gives the same pixels with and without them. */
const HARMLESS = new Set(['pHYs', 'sRGB', 'gAMA', 'cHRM', 'tIME']);
const COLOUR_TYPES: Partial<Record<number, number>> = { 1: 0, 3: 2 };

/**
 * @param channels 1: grey, 3: RGB
 * @returns (H, W, C); nothing where the file is any other than a sound one of exactly this shape
 */
export function decodePlainPng(
  bytes: Uint8Array,
  height: number,
  width: number,
  channels: number,
): Uint8Array | undefined {
  const file = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const data = plainData(file, headOf(height, width, COLOUR_TYPES[channels]));
  const stride = width * channels;
  const filtered = data && inflated(data, height * (1 + stride));
  return filtered && unfiltered(filtered, height, stride, channels);
}

/** The content of the IHDR that is expected. */
function headOf(height: number, width: number, colourType = -1): Buffer {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, colourType, 0, 0, 0], 8);
  return head;
}

/** What the IDATs hold together; nothing where another chunk than the plain ones is there, or one is damaged. */
function plainData(file: Buffer, head: Buffer): Buffer | undefined {
  if (!file.subarray(0, 8).equals(SIGNATURE)) return undefined;
  const data: Buffer[] = [];
  let before = '';
  for (let at = 8; at + 12 <= file.length; ) {
    const end = at + 8 + file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    if (end + 4 > file.length || crc32(file.subarray(at + 4, end)) !== file.readUInt32BE(end)) return undefined;
    const content = file.subarray(at + 8, end);
    if (before === '') {
      if (type !== 'IHDR' || !content.equals(head)) return undefined;
    } else if (type === 'IDAT') {
      if (data.length > 0 && before !== 'IDAT') return undefined;
      data.push(content);
    } else if (type === 'IEND') {
      return end + 4 === file.length ? Buffer.concat(data) : undefined;
    } else if (!HARMLESS.has(type)) return undefined;
    before = type;
    at = end + 4;
  }
  return undefined;
}

function inflated(data: Buffer, length: number): Buffer | undefined {
  try {
    const content = inflateSync(data, { maxOutputLength: length });
    return content.length === length ? content : undefined;
  } catch {
    return undefined;
  }
}

/** Each line has its filter's number before it. */
function unfiltered(filtered: Buffer, height: number, stride: number, channels: number): Uint8Array | undefined {
  const pixels = new Uint8Array(height * stride);
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const start = y * (1 + stride);
    const line = pixels.subarray(y * stride, (y + 1) * stride);
    line.set(filtered.subarray(start + 1, start + 1 + stride));
    if (!unfilter(filtered[start]!, line, above, channels)) return undefined;
    above = line;
  }
  return pixels;
}

/** Section 9 of the specification; arithmetic is modulo 256, as an array of bytes does it. */
function unfilter(filter: number, line: Uint8Array, above: Uint8Array, channels: number): boolean {
  const left = (x: number) => (x < channels ? 0 : line[x - channels]!);
  const corner = (x: number) => (x < channels ? 0 : above[x - channels]!);
  if (filter === 1) for (let x = 0; x < line.length; x++) line[x]! += left(x);
  if (filter === 2) for (let x = 0; x < line.length; x++) line[x]! += above[x]!;
  if (filter === 3) for (let x = 0; x < line.length; x++) line[x]! += (left(x) + above[x]!) >> 1;
  if (filter === 4) for (let x = 0; x < line.length; x++) line[x]! += paeth(left(x), above[x]!, corner(x));
  return filter <= 4;
}

function paeth(left: number, above: number, corner: number): number {
  const estimate = left + above - corner;
  const toLeft = Math.abs(estimate - left);
  const toAbove = Math.abs(estimate - above);
  const toCorner = Math.abs(estimate - corner);
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}
