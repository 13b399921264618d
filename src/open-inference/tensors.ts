import { decodeBase64 } from '../domain/base64.js';
import { badInput } from '../errors.js';

/** Tensors as the protocol writes them: numbers and texts in JSON, or little-endian bytes behind it. */

export interface TensorData {
  readonly name: string;
  readonly shape: readonly number[];
  /** What stands in JSON, or the tensor's own bytes. */
  readonly data: unknown;
}

/**
 * @returns row-major values in a buffer of their own
 * @throws BAD_USER_INPUT on the tensor's name where there are not as many finite numbers as its shape says
 */
export function readFloats({ name, shape, data }: TensorData): Float32Array {
  const count = elementsOf(shape);
  const values = data instanceof Uint8Array ? floatsOfBytes(name, data, count) : floatsOfJson(name, data, count);
  const wrong = values.findIndex((value) => !Number.isFinite(value));
  if (wrong !== -1) throw badInput(name, `value ${wrong} is not a finite float32`);
  return values;
}

function floatsOfBytes(name: string, bytes: Uint8Array, count: number): Float32Array {
  if (bytes.length !== 4 * count)
    throw badInput(name, `${bytes.length} bytes; ${count} values of FP32 take ${4 * count}`);
  const values = new Float32Array(count);
  // Every machine that Node and onnxruntime run on is little-endian, too.
  new Uint8Array(values.buffer).set(bytes);
  return values;
}

/** The protocol lets `data` be nested as the shape is, or flat. */
function floatsOfJson(name: string, data: unknown, count: number): Float32Array {
  const flat = flatten(name, data);
  if (flat.length !== count) throw badInput(name, `${flat.length} values in "data"; its shape has ${count}`);
  // What is no number becomes NaN, which the caller refuses.
  return Float32Array.from(flat, (value) => (typeof value === 'number' ? value : NaN));
}

/**
 * @returns one item for each element: of JSON what its base64 says, of bytes what follows each 4-byte length
 * @throws BAD_USER_INPUT on the tensor's name
 */
export function readBytes({ name, shape, data }: TensorData): Uint8Array[] {
  const count = elementsOf(shape);
  const items = data instanceof Uint8Array ? itemsOfBytes(name, data) : itemsOfJson(name, data);
  if (items.length !== count) throw badInput(name, `${items.length} elements; its shape has ${count}`);
  return items;
}

function itemsOfBytes(name: string, bytes: Uint8Array): Uint8Array[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; ) {
    const start = at + 4;
    const end = start <= bytes.length ? start + view.getUint32(at, true) : Infinity;
    if (end > bytes.length)
      throw badInput(name, `element ${items.length} runs past the end: each has its length before it, 4 bytes little-endian`);
    items.push(bytes.subarray(start, end));
    at = end;
  }
  return items;
}

const itemsOfJson = (name: string, data: unknown) =>
  flatten(name, data).map((text) => {
    const bytes = decodeBase64(text);
    if (bytes === null)
      throw badInput(name, 'an element of BYTES in JSON is a string of base64; send others as binary data');
    return bytes;
  });

function flatten(name: string, data: unknown): unknown[] {
  if (!Array.isArray(data)) throw badInput(name, 'no "data": send a list, or binary data with "binary_data_size"');
  return data.some(Array.isArray) ? data.flat(Infinity) : data;
}

const elementsOf = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);

export function writeBytes(items: readonly string[]): Buffer {
  return Buffer.concat(
    items.flatMap((item) => {
      const bytes = Buffer.from(item);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
