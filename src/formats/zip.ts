import { crc32 } from 'node:zlib';

/**
 * Files as a .zip (PKWARE APPNOTE 6.3.3), stored without compression: weights do not get smaller by it. The same files
 * give the same bytes, so that an archive can be known by its hash.
 */

export interface ZipFile {
  /** ASCII, with `/` between folders. */
  readonly name: string;
  readonly content: Uint8Array;
}

/** What the format without ZIP64 can say. */
const MAX_BYTES = 0xffff_ffff;
const VERSION_NEEDED = 20;
/** 1 January 1980, the format's first day, at midnight. */
const DOS_TIME = 0;
const DOS_DATE = 0x21;

/** @throws RangeError past 4 GiB */
export function encodeZip(files: readonly ZipFile[]): Uint8Array {
  const parts: Uint8Array[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name, content } of files) {
    const fields = entryFields(content);
    const local = Buffer.concat([uint32(0x0403_4b50), fields, uint16(name.length), uint16(0), Buffer.from(name)]);
    // From the length of the name on: no extra field, no comment, first disk, no attributes.
    const rest = Buffer.concat([uint16(name.length), Buffer.alloc(12), uint32(offset), Buffer.from(name)]);
    directory.push(Buffer.concat([uint32(0x0201_4b50), uint16(VERSION_NEEDED), fields, rest]));
    parts.push(local, content);
    offset += local.length + content.length;
    if (offset > MAX_BYTES) throw new RangeError(`a .zip of ${offset} bytes; at most ${MAX_BYTES} fit`);
  }
  return Buffer.concat([...parts, ...directory, directoryEnd(Buffer.concat(directory).length, offset, files.length)]);
}

/** What both headers of a file begin with, behind their signatures. */
function entryFields(content: Uint8Array): Buffer {
  const flagsAndMethod = uint32(0);
  const time = [uint16(DOS_TIME), uint16(DOS_DATE)];
  const sizes = [uint32(content.length), uint32(content.length)];
  return Buffer.concat([uint16(VERSION_NEEDED), flagsAndMethod, ...time, uint32(crc32(content)), ...sizes]);
}

function directoryEnd(bytes: number, offset: number, files: number): Buffer {
  const disks = uint32(0);
  return Buffer.concat([
    uint32(0x0605_4b50), disks, uint16(files), uint16(files), uint32(bytes), uint32(offset), uint16(0),
  ]); // prettier-ignore
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return bytes;
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}
