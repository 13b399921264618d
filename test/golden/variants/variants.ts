import { readFileSync, readdirSync } from 'node:fs';
import type { Graph, Shape, TensorMap } from '../../../src/domain/network/graph.js';
import { buildGraph } from '../../../src/domain/network/layers.js';
import { normaliseNetwork, type NetworkDefinition } from '../../../src/domain/network/normalise.js';
import { readSafetensorsIndex, safetensorsView, type SafetensorsIndex } from '../../../src/formats/safetensors.js';

/** A network as PyTorch computed it: see make.py beside this file. */
export interface Variant {
  readonly name: string;
  readonly definition: NetworkDefinition;
  readonly graph: Graph;
  /** The module's state_dict without its counters. */
  readonly tensors: TensorMap;
  /** PyTorch's state_dict: every entry's name, type and shape, in its order. */
  readonly entries: readonly { readonly name: string; readonly type: string; readonly shape: readonly number[] }[];
  /** (3, C, H, W) */
  readonly input: Float32Array;
  /** (3, K), in evaluation */
  readonly logits: Float32Array;
}

export const VARIANT_IMAGES = 3;

export function readVariants(): Variant[] {
  const files = readdirSync(import.meta.dirname).filter((file) => file.endsWith('.safetensors'));
  return files.sort().map((file) => readVariant(file.replace('.safetensors', '')));
}

export function readVariant(name: string): Variant {
  const file = readFileSync(`${import.meta.dirname}/${name}.safetensors`);
  const index = readSafetensorsIndex(file);
  const definition = normaliseNetwork(JSON.parse(index.metadata['definition']!));
  const entries = [...index.tensors.values()].filter((tensor) => !tensor.name.startsWith('test.'));
  const floats = entries.filter(({ type }) => type === 'F32');
  return {
    name,
    definition,
    graph: buildGraph(definition),
    tensors: new Map(floats.map((tensor) => [tensor.name, read(file, index, tensor.name)])),
    entries: entries.map(({ name, type, shape }) => ({ name, type, shape })),
    input: read(file, index, 'test.input'),
    logits: read(file, index, 'test.logits'),
  };
}

function read(file: Uint8Array, index: SafetensorsIndex, name: string): Float32Array {
  return new Float32Array(Uint8Array.from(safetensorsView(file, index.tensors.get(name)!)).buffer);
}

/** (N, C, H, W) becomes (N, H, W, C). */
export function toNhwc(values: Float32Array, [channels, height, width]: Shape): Float32Array {
  const pixels = height * width;
  return values.map((_, index) => {
    const image = Math.floor(index / (pixels * channels));
    const pixel = Math.floor(index / channels) % pixels;
    return values[(image * channels + (index % channels)) * pixels + pixel]!;
  });
}

/** The largest difference between two arrays of the same length. */
export function largestDifference(a: Float32Array, b: Float32Array): number {
  if (a.length !== b.length) throw new Error(`${a.length} values beside ${b.length}`);
  return a.reduce((largest, value, index) => Math.max(largest, Math.abs(value - b[index]!)), 0);
}
