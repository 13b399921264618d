import { createReadStream, createWriteStream } from 'node:fs';
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';
import { isSystemError, type ByteSource, type Report } from '../formats/records.js';
import type { ObjectStore } from '../infra/objects.js';
import { makeScratchFolder } from '../infra/scratch.js';
import { uploadKey } from './upload-files.js';

/** Local files of one validation, under `<dataDir>/validating`. */
export interface Spool {
  readonly folder: string;
  /** Opens a file of the folder under the name that its uploader knows. */
  open(file: string, name: string): Promise<ByteSource>;
  /** Removes the folder. */
  close(): Promise<void>;
}

const CHUNK_BYTES = 1024 ** 2;
/** Images and labels do not pack better than this; what does, past a size that costs something, was made to. */
const MAX_PACKING = 200;
const MAX_PACKING_FROM_BYTES = 1024 ** 3;

export const spoolRoot = (dataDir: string) => path.join(dataDir, 'validating');

export async function openSpool(dataDir: string, datasetId: string): Promise<Spool> {
  const folder = await makeScratchFolder(spoolRoot(dataDir), `${datasetId}.`);
  const handles: FileHandle[] = [];
  return {
    folder,
    open: async (file, name) => {
      const handle = await open(path.join(folder, file));
      handles.push(handle);
      return fileSource(name, handle, (await handle.stat()).size);
    },
    close: async () => {
      for (const handle of handles) await handle.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/**
 * Downloads uploads and unpacks those that gzip packed, whatever their names.
 * @returns null where the problems leave nothing to read
 */
export async function spoolUploads(
  {
    objects,
    maxBytes,
    report,
    signal,
  }: { objects: ObjectStore; maxBytes: number; report: Report; signal: AbortSignal },
  spool: Spool,
  datasetId: string,
  files: readonly string[],
): Promise<Map<string, ByteSource> | null> {
  const sources = new Map<string, ByteSource>();
  let left = maxBytes;
  for (const name of files) {
    const key = uploadKey(datasetId, name);
    const upload = await objects.statUpload(key);
    if (!upload) report(`${name}: was uploaded, but is no longer there`);
    else if (upload.bytes > left)
      report(`${name}: ${upload.bytes} bytes, more than the ${left} that are left of ${maxBytes}`);
    if (!upload || upload.bytes > left) return null;
    const file = path.join(spool.folder, name);
    await pipeline(objects.readUpload(key), createWriteStream(file), { signal });
    if (!(await unpack(file, name, left, report, signal))) return null;
    const source = await spool.open(name, name);
    left -= source.bytes;
    sources.set(name, source);
  }
  return sources;
}

/** Replaces a packed file by its content. @returns false where it is broken or too large */
async function unpack(
  file: string,
  name: string,
  maxBytes: number,
  report: Report,
  signal: AbortSignal,
): Promise<boolean> {
  if (!(await isGzip(file))) return true;
  const unpacked = `${file}.unpacked`;
  const limit = Math.min(maxBytes, Math.max(MAX_PACKING_FROM_BYTES, MAX_PACKING * (await stat(file)).size));
  try {
    const input = createReadStream(file, { highWaterMark: CHUNK_BYTES });
    await pipeline(input, createGunzip({ chunkSize: CHUNK_BYTES }), refuseBeyond(limit), createWriteStream(unpacked), {
      signal,
    });
  } catch (error) {
    if (signal.aborted || isSystemError(error)) throw error;
    report(`${name}: ${error instanceof BombError ? error.message : `broken gzip: ${(error as Error).message}`}`);
    return false;
  }
  await rename(unpacked, file);
  return true;
}

class BombError extends Error {}

function refuseBeyond(maxBytes: number): Transform {
  let bytes = 0;
  const transform = (chunk: Buffer, _: BufferEncoding, done: (error: Error | null, chunk?: Buffer) => void) => {
    bytes += chunk.length;
    if (bytes > maxBytes) done(new BombError(`an archive bomb: unpacks to more than ${maxBytes} bytes`));
    else done(null, chunk);
  };
  return new Transform({ transform });
}

async function isGzip(file: string): Promise<boolean> {
  const handle = await open(file);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(2), 0, 2, 0);
    return bytesRead === 2 && buffer.readUInt16BE() === 0x1f8b;
  } finally {
    await handle.close();
  }
}

function fileSource(name: string, handle: FileHandle, bytes: number): ByteSource {
  return {
    name,
    bytes,
    read: async (start, end) => {
      const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(end, bytes) - start));
      for (let filled = 0; filled < buffer.length;) {
        const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, start + filled);
        if (bytesRead === 0) throw new Error(`${name} was cut short while it was read`);
        filled += bytesRead;
      }
      return buffer;
    },
  };
}
