/**
 * The safetensors format (github.com/huggingface/safetensors, README "Format"): eight bytes little-endian header length
 * N, N bytes of JSON padded with spaces, then the tensors' bytes, little-endian and row-major, without gaps.
 */

const DTYPES = { F32: 4, F16: 2, BF16: 2, I32: 4, I64: 8, U8: 1 } as const;
export type SafetensorsType = keyof typeof DTYPES;

export interface TensorHeader {
  readonly name: string;
  readonly type: SafetensorsType;
  readonly shape: readonly number[];
}
export interface PlacedTensor extends TensorHeader {
  /** Offset of the first byte in the file. */
  readonly start: number;
  readonly bytes: number;
}
export interface SafetensorsIndex {
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  readonly metadata: Readonly<Record<string, string>>;
  /** Size of the whole file. */
  readonly totalBytes: number;
}

/** The format's own limit on the header. */
const MAX_HEADER_BYTES = 100_000_000;

/** The file is not safetensors; the message says what is wrong with it. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

/** The bytes that come before the tensors, which the caller writes behind it in the same order. */
export function encodeSafetensorsHeader(
  tensors: readonly TensorHeader[],
  metadata: Record<string, string> = {},
): Uint8Array {
  const header: Record<string, unknown> = {};
  if (Object.keys(metadata).length > 0) header['__metadata__'] = metadata;
  let end = 0;
  for (const { name, type, shape } of tensors) {
    const start = end;
    end += tensorBytes(type, shape);
    header[name] = { dtype: type, shape, data_offsets: [start, end] };
  }
  const json = Buffer.from(JSON.stringify(header));
  // Tensors are aligned to eight bytes so that readers can map them.
  const padded = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + padded, ' ');
  bytes.writeBigUInt64LE(BigInt(padded), 0);
  json.copy(bytes, 8);
  return bytes;
}

/** A whole file in memory. `data` of each tensor: its little-endian bytes. */
export function encodeSafetensors(
  tensors: readonly (TensorHeader & { readonly data: ArrayBufferView })[],
  metadata: Record<string, string> = {},
): Uint8Array {
  const parts = tensors.map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  for (const [index, { name, type, shape }] of tensors.entries())
    if (parts[index]!.byteLength !== tensorBytes(type, shape))
      throw new SafetensorsError(`${name}: ${parts[index]!.byteLength} bytes do not make ${type} ${JSON.stringify(shape)}`);
  return Buffer.concat([encodeSafetensorsHeader(tensors, metadata), ...parts]);
}

/** How many bytes from the start of a file the index needs. `prefix`: its first eight bytes. */
export function safetensorsIndexBytes(prefix: Uint8Array): number {
  if (prefix.byteLength < 8) throw new SafetensorsError('shorter than eight bytes');
  const length = Buffer.from(prefix.buffer, prefix.byteOffset, 8).readBigUInt64LE();
  if (length > MAX_HEADER_BYTES) throw new SafetensorsError(`the header would take ${length} bytes`);
  return 8 + Number(length);
}

/**
 * Reads where each tensor lies. `start`: at least the first `safetensorsIndexBytes` of a file.
 * @throws SafetensorsError where types, shapes or offsets contradict each other.
 */
export function readSafetensorsIndex(start: Uint8Array): SafetensorsIndex {
  const dataStart = safetensorsIndexBytes(start);
  if (start.byteLength < dataStart) throw new SafetensorsError('the header is cut short');
  const header = parseHeader(Buffer.from(start.buffer, start.byteOffset + 8, dataStart - 8).toString('utf8'));
  const { __metadata__: metadata = {}, ...entries } = header as { __metadata__?: Record<string, string> };
  const tensors = new Map<string, PlacedTensor>();
  for (const [name, entry] of Object.entries(entries)) tensors.set(name, placeTensor(name, entry, dataStart));
  const placed = [...tensors.values()].sort((a, b) => a.start - b.start);
  let end = dataStart;
  for (const tensor of placed) {
    if (tensor.start !== end) throw new SafetensorsError(`${tensor.name}: a gap or an overlap before it`);
    end += tensor.bytes;
  }
  return { tensors, metadata, totalBytes: end };
}

/** One tensor's bytes out of a whole file, without a copy. */
export function safetensorsView(file: Uint8Array, tensor: PlacedTensor): Uint8Array {
  return file.subarray(tensor.start, tensor.start + tensor.bytes);
}

function parseHeader(json: string): object {
  try {
    const header: unknown = JSON.parse(json);
    if (typeof header === 'object' && header !== null && !Array.isArray(header)) return header;
  } catch {
    // Said below, as for any other header that is no object.
  }
  throw new SafetensorsError('the header is not a JSON object');
}

function placeTensor(name: string, entry: unknown, dataStart: number): PlacedTensor {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  const isSizes = (value: unknown): value is number[] =>
    Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && size >= 0);
  if (typeof dtype !== 'string' || !(dtype in DTYPES)) throw new SafetensorsError(`${name}: type ${String(dtype)} is not supported`);
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) throw new SafetensorsError(`${name}: no shape or offsets`);
  const type = dtype as SafetensorsType;
  const bytes = tensorBytes(type, shape);
  if (offsets[1]! - offsets[0]! !== bytes) throw new SafetensorsError(`${name}: offsets do not make ${type} ${JSON.stringify(shape)}`);
  return { name, type, shape, start: dataStart + offsets[0]!, bytes };
}

function tensorBytes(type: SafetensorsType, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, DTYPES[type]);
}
