import { graphTensors, type Graph } from '../domain/network/graph.js';
import type { Normalisation } from '../domain/normalisation.js';
import type { PlacedTensor, SafetensorsIndex, SafetensorsType } from './safetensors.js';
import { ourName, recogniseScheme, type NameScheme } from './weight-names.js';

/** Weights that others trained, as a safetensors file of theirs holds them, for a network of ours. */
export interface ForeignWeights {
  readonly scheme: NameScheme;
  /** By our name, one for each of the graph's tensors. */
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  /** The first norm's `num_batches_tracked`, where the file has it. */
  readonly batchesTracked: PlacedTensor | null;
}

/** The file does not hold the network's weights; the message lists the tensors at fault by name. */
export class ForeignWeightsError extends Error {
  override readonly name = 'ForeignWeightsError';
}

const FLOATS: readonly SafetensorsType[] = ['F32', 'F16', 'BF16'];
const COUNTER = '.num_batches_tracked';
const MAX_LISTED = 20;

/**
 * Finds each of the graph's tensors in a file, by the scheme that the file's names follow. Counters of batches
 * (`num_batches_tracked`) may be there or not.
 * @throws ForeignWeightsError
 */
export function matchWeights(graph: Graph, { tensors: entries }: Pick<SafetensorsIndex, 'tensors'>): ForeignWeights {
  const scheme = recogniseScheme(entries.keys());
  if (scheme === null)
    throw new ForeignWeightsError(
      "its tensors have neither torchvision's and timm's names (conv1.weight, layer1.0.conv1.weight, fc.weight) nor " +
        `those of transformers (resnet.embedder…, classifier.1.weight), but ${list([...entries.keys()])}`,
    );
  const found = byOurName(scheme, entries.values());
  const problems = compare(graph, found);
  if (problems.length > 0) throw new ForeignWeightsError(problems.join('; '));
  const batchesTracked = [...found.tensors].find(([name, { type }]) => name.endsWith(COUNTER) && type === 'I64')?.[1];
  const specs = graphTensors(graph);
  return {
    scheme,
    tensors: new Map(specs.map(({ name }) => [name, found.tensors.get(name)!])),
    batchesTracked: batchesTracked ?? null,
  };
}

interface Renamed {
  readonly tensors: Map<string, PlacedTensor>;
  /** Those that the scheme has no name for, or the same one twice. */
  readonly extra: string[];
}

function byOurName(scheme: NameScheme, entries: Iterable<PlacedTensor>): Renamed {
  const renamed: Renamed = { tensors: new Map(), extra: [] };
  for (const tensor of entries) {
    const name = ourName(scheme, tensor.name);
    if (name === null || renamed.tensors.has(name)) renamed.extra.push(tensor.name);
    else renamed.tensors.set(name, tensor);
  }
  return renamed;
}

/** What is wrong: a sentence each for the tensors that are missing, too many, and of another shape or type. */
function compare(graph: Graph, { tensors, extra }: Renamed): string[] {
  const specs = graphTensors(graph);
  const counters = graph.nodes.filter(({ kind }) => kind === 'batchNorm').map(({ name }) => name + COUNTER);
  const known = new Set([...specs.map(({ name }) => name), ...counters]);
  const missing = specs.filter(({ name }) => !tensors.has(name)).map(({ name }) => name);
  const unknown = [...tensors].filter(([name]) => !known.has(name)).map(([, tensor]) => tensor.name);
  const misshapen = specs.flatMap((spec) => {
    const tensor = tensors.get(spec.name);
    if (tensor === undefined) return [];
    const called = tensor.name === spec.name ? spec.name : `${tensor.name} (${spec.name})`;
    if (!FLOATS.includes(tensor.type)) return [`${called} holds ${tensor.type}, not ${FLOATS.join(', ')}`];
    return sameShape(tensor.shape, spec.shape) ? [] : [`${called} is ${show(tensor.shape)}, not ${show(spec.shape)}`];
  });
  return [
    ...(missing.length > 0 ? [`missing: ${list(missing)}`] : []),
    ...(unknown.length + extra.length > 0 ? [`none of this network's: ${list([...unknown, ...extra])}`] : []),
    ...(misshapen.length > 0 ? [`of another shape or type: ${list(misshapen)}`] : []),
  ];
}

const sameShape = (a: readonly number[], b: readonly number[]) =>
  a.length === b.length && a.every((size, i) => size === b[i]);
const show = (shape: readonly number[]) => `[${shape.join(', ')}]`;
const MAX_NAME_LENGTH = 200;

function list(names: readonly string[]): string {
  if (names.length === 0) return 'none at all';
  const shown = names.slice(0, MAX_LISTED).map((name) => name.slice(0, MAX_NAME_LENGTH)).join(', ');
  return names.length > MAX_LISTED ? `${shown} and ${names.length - MAX_LISTED} more` : shown;
}

/**
 * A tensor's values as float32. bfloat16 and float16 convert exactly.
 * @param bytes little-endian, as the file has them
 * @throws ForeignWeightsError where one is infinite or no number: such a network predicts nothing
 */
export function toFloat32({ name, type }: Pick<PlacedTensor, 'name' | 'type'>, bytes: Uint8Array): Float32Array {
  // A copy: the view may lie at an offset that no wider array can start at.
  const { buffer } = Uint8Array.from(bytes);
  const values = type === 'F32' ? new Float32Array(buffer) : widen(type, new Uint16Array(buffer));
  for (const value of values)
    if (!Number.isFinite(value)) throw new ForeignWeightsError(`${name} holds ${value}`);
  return values;
}

function widen(type: SafetensorsType, halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++)
    if (type === 'BF16') bits[i] = halves[i]! << 16;
    else values[i] = fromFloat16(halves[i]!);
  return values;
}

/** IEEE 754 binary16: 1 bit of sign, 5 of exponent, 10 of fraction. */
function fromFloat16(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** ImageNet's figures, by which torchvision's, timm's and Hugging Face's ResNets were trained. */
export const IMAGENET: Normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/**
 * The normalisation that the weights were trained with: the file's metadata `mean` and `std`, each a JSON array with a
 * number for each channel (as our own files have them), else `IMAGENET` for three channels, else 0.5 and 0.5, which
 * makes [-1, 1] of a grey image.
 * @throws ForeignWeightsError where the metadata says only one of them, or no such array
 */
export function normalisationOf(metadata: SafetensorsIndex['metadata'], channels: number): Normalisation {
  const { mean, std } = (metadata ?? {}) as Partial<Record<'mean' | 'std', unknown>>;
  if (mean === undefined && std === undefined) {
    const halves = Array<number>(channels).fill(0.5);
    return channels === 3 ? IMAGENET : { mean: halves, std: halves };
  }
  return { mean: channelValues('mean', mean, channels), std: channelValues('std', std, channels) };
}

function channelValues(name: 'mean' | 'std', text: unknown, channels: number): number[] {
  const values = parseJson(text);
  const fits = Array.isArray(values) && values.length === channels && values.every((value) => Number.isFinite(value));
  if (fits && (name === 'mean' || values.every((value) => value >= 0))) return values as number[];
  throw new ForeignWeightsError(`the metadata's ${name} is no JSON array of ${channels} numbers${name === 'std' ? ' from 0 on' : ''}`);
}

function parseJson(text: unknown): unknown {
  try {
    return typeof text === 'string' ? JSON.parse(text) : undefined;
  } catch {
    return undefined;
  }
}
