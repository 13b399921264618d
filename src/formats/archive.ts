import { PassThrough, Readable } from 'node:stream';
import { extract, type Header } from 'tar-stream';
import yauzl from 'yauzl';
import { isSystemError, streamBytes, type ByteSource, type Report } from './records.js';

/**
 * Archives of images, .zip (PKWARE APPNOTE, stored or deflated) and .tar (POSIX ustar and pax, GNU), told apart by
 * their first bytes. Nothing is ever unpacked to a path that an archive names.
 */

export interface ArchiveEntry {
  /** With `/` between folders, never absolute, without `.` and `..`. */
  readonly path: string;
  readonly isFolder: boolean;
  /** Unpacked. */
  readonly bytes: number;
  /** Its place in the archive where it lies there as it is, not compressed. */
  readonly offset: number | null;
  /**
   * May be called while later entries are being listed.
   * @throws Error where the archive is broken here
   */
  content(): Promise<Buffer>;
}

export interface ArchiveLimits {
  /** Unpacked bytes, all files together. */
  readonly maxBytes: number;
  readonly maxEntries?: number;
}

const MAX_ENTRIES = 4_000_000;

/** The archive cannot be read to its end; the message says why, the file's name first. */
export class ArchiveError extends Error {
  override readonly name = 'ArchiveError';
}

/**
 * Every regular file and every folder, in the archive's order. An entry that is neither, or whose path leaves the
 * archive, goes to `report` instead.
 * @throws ArchiveError
 */
export async function* readArchive(
  source: ByteSource,
  limits: ArchiveLimits,
  report: Report,
): AsyncGenerator<ArchiveEntry> {
  const { maxBytes, maxEntries = MAX_ENTRIES } = limits;
  let bytes = 0;
  let entries = 0;
  for await (const entry of entriesOf(source, report)) {
    bytes += entry.bytes;
    if (++entries > maxEntries)
      throw new ArchiveError(`${source.name}: an archive bomb: more than ${maxEntries} entries`);
    if (bytes > maxBytes)
      throw new ArchiveError(`${source.name}: an archive bomb: unpacks to more than ${maxBytes} bytes`);
    yield entry;
  }
}

async function* entriesOf(source: ByteSource, report: Report): AsyncGenerator<ArchiveEntry> {
  try {
    yield* await openArchive(source, report);
  } catch (error) {
    if (isSystemError(error)) throw error;
    throw new ArchiveError(`${source.name}: broken archive: ${(error as Error).message}`, { cause: error });
  }
}

async function openArchive(source: ByteSource, report: Report): Promise<AsyncIterable<ArchiveEntry>> {
  const start = await source.read(0, 512);
  if (start.subarray(0, 2).toString('latin1') === 'PK') return zipEntries(source, report);
  if (start.subarray(257, 262).toString('latin1') === 'ustar') return tarEntries(source, report);
  throw new Error('neither .zip nor .tar');
}

/** The path in one form, or null once it has been reported. */
function safePath(source: ByteSource, raw: string, report: Report): string | null {
  const parts = raw.split('/').filter((part) => part !== '' && part !== '.');
  const absolute = raw.startsWith('/') || /^[a-zA-Z]:/.test(raw);
  if (!absolute && !parts.includes('..') && !raw.includes('\0')) return parts.join('/');
  report(`${source.name}: ${printable(raw)}: the path leaves the archive`);
  return null;
}

/** A path as it may stand in a message: on one line, not too long. */
export const printable = (path: string) => {
  const plain = path.replace(/\p{Cc}/gu, '?');
  return plain.length > 200 ? `${plain.slice(0, 200)}…` : plain;
};

// ---------------------------------------------------------------- tar

async function* tarEntries(source: ByteSource, report: Report): AsyncGenerator<ArchiveEntry> {
  const files = extract();
  const input = Readable.from(streamBytes(source));
  input.on('error', (error) => files.destroy(error));
  input.pipe(files);
  try {
    for await (const file of files) {
      // tar-stream knows the place of each file; its types do not say so.
      const header = file.header as Header & { byteOffset: number };
      const entry = tarEntry(source, header, report);
      file.resume();
      if (entry) yield entry;
    }
  } finally {
    input.destroy();
  }
  // tar-stream takes an end between two files for the end of the archive, which is a block of zeros.
  const end = await source.read(Math.max(0, source.bytes - 512), source.bytes);
  if (end.some((byte) => byte !== 0)) throw new Error('it ends without the end of an archive');
}

function tarEntry(source: ByteSource, header: Header & { byteOffset: number }, report: Report): ArchiveEntry | null {
  const { name, type, size = 0, byteOffset: offset } = header;
  const path = safePath(source, name, report);
  if (path === null) return null;
  const isFolder = type === 'directory';
  if (!isFolder && type !== 'file' && type !== 'contiguous-file') {
    report(`${source.name}: ${printable(name)}: a ${type ?? 'special file'}, not a regular file`);
    return null;
  }
  return { path, isFolder, bytes: isFolder ? 0 : size, offset, content: () => source.read(offset, offset + size) };
}

// ---------------------------------------------------------------- zip

async function* zipEntries(source: ByteSource, report: Report): AsyncGenerator<ArchiveEntry> {
  // Names are decoded here, since the package gives up the whole archive for one that it does not like.
  const options = { autoClose: false, decodeStrings: false, validateEntrySizes: true };
  const zip = await yauzl.fromRandomAccessReaderPromise(new SourceReader(source), source.bytes, options);
  for await (const entry of zip.eachEntry()) {
    const made = zipEntry(source, zip, entry, report);
    if (made) yield made;
  }
}

function zipEntry(source: ByteSource, zip: yauzl.ZipFile, entry: yauzl.Entry, report: Report): ArchiveEntry | null {
  const { generalPurposeBitFlag, fileNameRaw, extraFields, uncompressedSize: bytes } = entry;
  const name = yauzl.getFileNameLowLevel(generalPurposeBitFlag, fileNameRaw, extraFields, false);
  const path = safePath(source, name, report);
  if (path === null) return null;
  const refuse = (problem: string) => {
    report(`${source.name}: ${printable(name)}: ${problem}`);
    return null;
  };
  if (isSymbolicLink(entry)) return refuse('a symlink, not a regular file');
  if (entry.isEncrypted()) return refuse('is encrypted');
  const content = async () => {
    const chunks: Buffer[] = [];
    for await (const chunk of await zip.openReadStreamPromise(entry)) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  };
  return { path, isFolder: name.endsWith('/'), bytes, offset: null, content };
}

const isSymbolicLink = ({ externalFileAttributes }: yauzl.Entry) =>
  ((externalFileAttributes >>> 16) & 0o170000) === 0o120000;

const WINDOW_BYTES = 65_536;

/**
 * yauzl asks for some fifty bytes at a time, in turn at two places: the directory at the end and the files before it.
 * So two stretches of the source are kept.
 */
class SourceReader extends yauzl.RandomAccessReader {
  private windows: { start: number; bytes: Promise<Buffer> }[] = [];

  constructor(private readonly source: ByteSource) {
    super();
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const stream = new PassThrough();
    this.bytes(start, end).then(
      (bytes) => stream.end(bytes),
      (error: Error) => stream.destroy(error),
    );
    return stream;
  }

  override read(
    buffer: Buffer,
    offset: number,
    length: number,
    position: number,
    callback: (error: Error | null) => void,
  ): void {
    this.bytes(position, position + length).then((bytes) => {
      bytes.copy(buffer, offset);
      callback(bytes.length < length ? new Error('unexpected end of the file') : null);
    }, callback);
  }

  private async bytes(start: number, end: number): Promise<Buffer> {
    if (end - start > WINDOW_BYTES) return this.source.read(start, end);
    const covers = (window: { start: number }) => window.start <= start && end <= window.start + WINDOW_BYTES;
    const window = this.windows.find(covers) ?? { start, bytes: this.source.read(start, start + WINDOW_BYTES) };
    this.windows = [window, ...this.windows.filter((other) => other !== window)].slice(0, 2);
    return (await window.bytes).subarray(start - window.start, end - window.start);
  }
}
