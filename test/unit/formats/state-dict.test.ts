import { describe, expect, it } from 'vitest';
import { encodeSafetensors, readSafetensorsIndex, safetensorsView } from '../../../src/formats/safetensors.js';
import { checkStateDict, decodeStateDict, encodeStateDict } from '../../../src/formats/state-dict.js';
import { readVariant, readVariants } from '../../golden/variants/variants.js';

describe.each(readVariants())('$name', ({ graph, tensors, entries }) => {
  it("has PyTorch's names, order, types and shapes: load_state_dict(strict=True) takes it", () => {
    const index = readSafetensorsIndex(encodeStateDict(graph, tensors, 17, { step: '17' }));
    const written = [...index.tensors.values()].map(({ name, type, shape }) => ({ name, type, shape }));
    expect(written).toEqual(entries);
    expect(index.metadata).toEqual({ format: 'pt', step: '17' });
  });

  it('reads back what it wrote, bit for bit', () => {
    const read = decodeStateDict(encodeStateDict(graph, tensors, 0));
    expect(read).toEqual(tensors);
    expect(() => checkStateDict(graph, read)).not.toThrow();
  });
});

const { graph, tensors } = readVariant('basic-pad');

it('counts the batches of every batch norm', () => {
  const file = encodeStateDict(graph, tensors, 12_345);
  const counter = readSafetensorsIndex(file).tensors.get('layer1.0.bn2.num_batches_tracked')!;
  const bytes = safetensorsView(file, counter);
  expect(Buffer.from(bytes).readBigInt64LE()).toBe(12_345n);
});

it('reads from any offset in memory', () => {
  const file = encodeStateDict(graph, tensors, 1);
  const shifted = new Uint8Array(file.byteLength + 1);
  shifted.set(file, 1);
  expect(decodeStateDict(shifted.subarray(1))).toEqual(tensors);
});

it('refuses a file cut short, and types that are no weights', () => {
  const file = encodeStateDict(graph, tensors, 1);
  expect(() => decodeStateDict(file.subarray(0, -4))).toThrow('where the header tells of');
  const bytes = encodeSafetensors([{ name: 'x', type: 'U8', shape: [1], data: Uint8Array.of(1) }]);
  expect(() => decodeStateDict(bytes)).toThrow('x: U8');
});

it('names the tensor that is missing, misshapen or unknown', () => {
  const without = new Map(tensors);
  without.delete('layer1.0.conv1.weight');
  expect(() => encodeStateDict(graph, without, 1)).toThrow('layer1.0.conv1.weight: missing');
  expect(() => checkStateDict(graph, without)).toThrow('layer1.0.conv1.weight: missing');
  expect(() => checkStateDict(graph, new Map(tensors).set('fc.bias', new Float32Array(4)))).toThrow('fc.bias: 4 values');
  expect(() => checkStateDict(graph, new Map(tensors).set('fc.gain', new Float32Array(4)))).toThrow('fc.gain: no tensor');
});
