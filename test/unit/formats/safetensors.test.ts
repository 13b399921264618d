import { describe, expect, it } from 'vitest';
import {
  SafetensorsError,
  encodeSafetensors,
  encodeSafetensorsHeader,
  readSafetensorsIndex,
  safetensorsIndexBytes,
  safetensorsView,
} from '../../../src/formats/safetensors.js';

const tensors = [
  { name: 'a', type: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 3, 4) },
  { name: 'b', type: 'I64', shape: [], data: BigInt64Array.of(9n) },
  { name: 'c', type: 'U8', shape: [0, 3], data: new Uint8Array(0) },
] as const;

/** A file with this header in front of `dataBytes` zeros. */
function fileOf(header: string, dataBytes = 0): Uint8Array {
  const json = Buffer.from(header);
  const file = Buffer.alloc(8 + json.length + dataBytes);
  file.writeBigUInt64LE(BigInt(json.length));
  json.copy(file, 8);
  return file;
}

it('reads what it wrote: types, shapes, bytes and metadata', () => {
  const file = encodeSafetensors(tensors, { step: '12' });
  const index = readSafetensorsIndex(file);
  expect([...index.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape }))).toEqual(
    tensors.map(({ name, type, shape }) => ({ name, type, shape })),
  );
  expect(index.metadata).toEqual({ step: '12' });
  expect(index.totalBytes).toBe(file.byteLength);
  const a = safetensorsView(file, index.tensors.get('a')!);
  expect([...new Float32Array(Uint8Array.from(a).buffer)]).toEqual([1, -2, 3, 4]);
});

it('writes the layout of the specification byte for byte', () => {
  const file = encodeSafetensors([{ name: 'x', type: 'U8', shape: [3], data: Uint8Array.of(7, 8, 9) }]);
  const json = '{"x":{"dtype":"U8","shape":[3],"data_offsets":[0,3]}}';
  const padded = json.padEnd(56, ' ');
  expect(Buffer.from(file)).toEqual(Buffer.concat([Buffer.from([56, 0, 0, 0, 0, 0, 0, 0]), Buffer.from(padded), Buffer.from([7, 8, 9])]));
});

it('gives the header alone, for tensors that are written behind it one by one', () => {
  const file = encodeSafetensors(tensors);
  const header = encodeSafetensorsHeader(tensors);
  expect(Buffer.from(file.subarray(0, header.byteLength))).toEqual(Buffer.from(header));
  expect(safetensorsIndexBytes(file.subarray(0, 8))).toBe(header.byteLength);
  expect(readSafetensorsIndex(header).totalBytes).toBe(file.byteLength);
});

describe('refuses', () => {
  it.each([
    ['less than eight bytes', new Uint8Array(7), 'shorter'],
    ['a header of exabytes', Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 15), 'would take'],
    ['a header cut short', fileOf('{}').subarray(0, 9), 'cut short'],
    ['a header that is no JSON', fileOf('{'), 'not a JSON object'],
    ['a header that is a list', fileOf('[]'), 'not a JSON object'],
    ['an unknown type', fileOf('{"a":{"dtype":"F99","shape":[],"data_offsets":[0,4]}}', 4), 'F99'],
    ['a shape that is none', fileOf('{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}', 4), 'no shape'],
    ['an entry that is null', fileOf('{"a":null}'), 'not supported'],
    ['offsets that do not hold the shape', fileOf('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}', 4), 'do not make'],
    ['a gap between tensors', fileOf('{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}', 2), 'a gap'],
  ])('%s', (_, file, message) => {
    expect(() => readSafetensorsIndex(file)).toThrow(SafetensorsError);
    expect(() => readSafetensorsIndex(file)).toThrow(message);
  });

  it('tensors overlapping each other', () => {
    const entry = '{"dtype":"U8","shape":[2],"data_offsets":[0,2]}';
    expect(() => readSafetensorsIndex(fileOf(`{"a":${entry},"b":${entry}}`, 2))).toThrow('overlap');
  });

  it('to write data that is not of its shape', () => {
    expect(() => encodeSafetensors([{ name: 'x', type: 'F32', shape: [2], data: Float32Array.of(1) }])).toThrow('x: 4 bytes');
  });
});
