/** What the formats of data sets have in common: where bytes come from, and what is made of them. */

/** Bytes that can be read from any place in them, such as a file. */
export interface ByteSource {
  /** As its uploader knows it; the first word of every problem with it. */
  readonly name: string;
  readonly bytes: number;
  /** From `start` up to, not including, `end`; fewer only where the source ends. */
  read(start: number, end: number): Promise<Buffer>;
}

/** Is told of everything that is wrong: file, record, what about it. Records count from 0. */
export type Report = (problem: string) => void;

export interface RecordShape {
  readonly height: number;
  readonly width: number;
  readonly channels: number;
}

/** One split of a data set: the labels at hand, the pixels when asked for. */
export interface RecordSplit {
  /** (N) class indices. */
  readonly labels: Int32Array;
  /** The images' pixels, (N, H, W, C), cut into chunks at any place. */
  images(): AsyncIterable<Uint8Array>;
}

export interface Records {
  readonly shape: RecordShape;
  readonly classNames: readonly string[];
  readonly train: RecordSplit;
  readonly test: RecordSplit;
}

/** Labels and shuffles are held in memory: 4 bytes a record, whatever a header claims. */
export const MAX_RECORDS = 10_000_000;

const CHUNK_BYTES = 1024 ** 2;

/** From `start` to the end, a megabyte at a time. */
export async function* streamBytes(source: ByteSource, start = 0): AsyncGenerator<Buffer> {
  for (let from = start; from < source.bytes; from += CHUNK_BYTES)
    yield source.read(from, Math.min(from + CHUNK_BYTES, source.bytes));
}

/** A stretch of a source as a source of its own. */
export function slice(source: ByteSource, name: string, offset: number, bytes: number): ByteSource {
  return { name, bytes, read: (start, end) => source.read(offset + start, offset + Math.min(end, bytes)) };
}

/** Cuts a stream anew so that each chunk holds whole records. What is left over at the end is dropped. */
export async function* wholeRecords(
  stream: AsyncIterable<Uint8Array>,
  recordBytes: number,
): AsyncGenerator<Uint8Array> {
  let rest: Uint8Array = new Uint8Array(0);
  for await (const chunk of stream) {
    const joined = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const whole = joined.length - (joined.length % recordBytes);
    if (whole > 0) yield joined.subarray(0, whole);
    rest = joined.subarray(whole);
  }
}

/** The disk or the network failed, which says nothing about the data. */
export const isSystemError = (error: unknown): boolean => error instanceof Error && 'syscall' in error;
