import {
  INPUT,
  type ConvNode,
  type Graph,
  type Node,
  type PadChannelsNode,
  type PoolNode,
  type TensorMap,
} from '../domain/network/graph.js';
import { assertExhaustive } from '../errors.js';
import { encodeZip } from './zip.js';

/**
 * A network as a TensorFlow.js layers model, which `tf.loadLayersModel` opens: Keras's JSON of the layers, all of them
 * TensorFlow.js's own, and one file of float32 weights. Activations are NHWC.
 *
 * In: `input`, float32 (N, H, W, C), normalised by `mean` and `std` of the metadata. Out: probabilities, (N, K).
 */
export interface TfjsMetadata {
  readonly classNames: readonly string[];
  /** Of pixels scaled to [0, 1], a value per channel. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface TfjsModel {
  /** The content of model.json. */
  readonly json: TfjsModelJson;
  /** The content of weights.bin: the manifest's tensors one behind the other, little-endian. */
  readonly weights: Float32Array;
}

export interface TfjsModelJson {
  readonly format: 'layers-model';
  readonly generatedBy: string;
  readonly convertedBy: null;
  readonly modelTopology: object;
  readonly weightsManifest: readonly [{ readonly paths: readonly string[]; readonly weights: readonly WeightSpec[] }];
  readonly userDefinedMetadata: object;
}

interface WeightSpec {
  /** `layer/weight` */
  readonly name: string;
  readonly shape: readonly number[];
  readonly dtype: 'float32';
}

/** TensorFlow.js opens the 4,577 of RESNEXT101_64X4D in 1.4 s on a core; past the bound it would be minutes. */
const MAX_LAYERS = 8_000;

/**
 * A .zip of model.json and weights.bin; null where TensorFlow.js's layers cannot express the network: an average-pool
 * shortcut that does not come out even at a stride over 2, or more groups than it could open.
 */
export function encodeTfjs(graph: Graph, tensors: TensorMap, metadata: TfjsMetadata): Uint8Array | null {
  const model = writeTfjsModel(graph, tensors, metadata);
  if (model === null) return null;
  const { buffer, byteOffset, byteLength } = model.weights;
  return encodeZip([
    { name: 'model.json', content: Buffer.from(JSON.stringify(model.json)) },
    { name: 'weights.bin', content: new Uint8Array(buffer, byteOffset, byteLength) },
  ]);
}

export function writeTfjsModel(graph: Graph, tensors: TensorMap, metadata: TfjsMetadata): TfjsModel | null {
  const layers = countLayers(graph);
  if (layers > MAX_LAYERS || !graph.nodes.every((node) => isExpressible(graph, node))) return null;
  const draft = writeLayers(graph, tensors);
  const config = {
    name: 'residual',
    layers: draft.layers,
    input_layers: [[INPUT, 0, 0]],
    output_layers: [['probabilities', 0, 0]],
  };
  return {
    json: {
      format: 'layers-model',
      generatedBy: 'residual',
      convertedBy: null,
      modelTopology: {
        keras_version: '2.15.0',
        backend: 'tensorflow',
        model_config: { class_name: 'Functional', config },
      },
      weightsManifest: [{ paths: ['weights.bin'], weights: draft.weights.map(({ spec }) => spec) }],
      userDefinedMetadata: {
        class_names: metadata.classNames,
        mean: metadata.mean,
        std: metadata.std,
        input_shape: graph.inputShape,
      },
    },
    weights: joinWeights(draft.weights),
  };
}

/** Those of grouped convolutions; all others are a few to a node. */
function countLayers({ nodes }: Graph): number {
  return nodes.reduce((sum, node) => sum + (node.kind === 'conv' && node.groups > 1 ? 2 * node.groups : 1), 0);
}

function isExpressible(graph: Graph, node: Node): boolean {
  const source = graph.nodes.find(({ name }) => name === node.inputs[0]);
  // Padded with zeros, as no layer pads with -infinity: the same maximum where nothing is negative.
  if (node.kind === 'maxPool') return node.padding === 0 || source?.kind === 'relu';
  if (node.kind === 'averagePool') return node.padding === 0 && averagesLikeSame(node, source);
  if (node.kind === 'linear') return source?.outputShape[1] === 1 && source.outputShape[2] === 1;
  return true;
}

/** `same` leaves padding out of the mean as we do, but lays half of it, rounded down, in front. */
function averagesLikeSame({ kernel, stride, outputShape }: PoolNode, source: Node | undefined): boolean {
  const padding = [1, 2].map((axis) => (outputShape[axis]! - 1) * stride + kernel - (source?.outputShape[axis] ?? 0));
  return padding.every((total) => total >= 0 && total <= 1);
}

interface Weight {
  readonly spec: WeightSpec;
  /** Writes the values where they lie in weights.bin: a large network has no second copy of them. */
  readonly fill: (target: Float32Array) => void;
}

interface Draft {
  readonly tensors: TensorMap;
  readonly layers: object[];
  readonly weights: Weight[];
  /** Which layer puts out each node's output. */
  readonly values: Map<string, string>;
}

function writeLayers(graph: Graph, tensors: TensorMap): Draft {
  const draft: Draft = { tensors, layers: [], weights: [], values: new Map([[INPUT, INPUT]]) };
  const [channels, height, width] = graph.inputShape;
  push(draft, 'InputLayer', INPUT, [], { batch_input_shape: [null, height, width, channels], dtype: 'float32' });
  for (const node of graph.nodes) {
    const inputs = node.inputs.map((input) => draft.values.get(input)!);
    draft.values.set(node.name, writeNode(draft, graph, node, inputs));
  }
  push(draft, 'Activation', 'probabilities', [draft.values.get(graph.output)!], { activation: 'softmax' });
  return draft;
}

/** Gives the name of the layer that puts out what the node does. */
function writeNode(draft: Draft, graph: Graph, node: Node, inputs: readonly string[]): string {
  const input = inputs[0]!;
  const write = (className: string, config: object = {}) => push(draft, className, node.name, inputs, config);
  switch (node.kind) {
    case 'conv':
      return writeConv(draft, node, input);
    case 'batchNorm':
      for (const [index, weight] of ['gamma', 'beta', 'moving_mean', 'moving_variance'].entries())
        addVector(draft, `${node.name}/${weight}`, tensorOf(draft, node, index));
      return write('BatchNormalization', { axis: -1, epsilon: node.epsilon, momentum: 1 - node.momentum });
    case 'maxPool':
      return writeMaxPool(draft, graph, node, input);
    case 'averagePool':
      return write('AveragePooling2D', { ...pooling(node), padding: 'same' });
    case 'linear':
      return writeLinear(draft, node, input);
    case 'padChannels':
      return writePadChannels(draft, node, input);
    case 'dropPath':
    case 'dropout':
      return input;
    case 'relu':
    case 'sigmoid':
      return write('Activation', { activation: node.kind });
    case 'add':
      return write('Add');
    case 'scale':
      return write('Multiply');
    case 'globalAveragePool': {
      const mean = push(draft, 'GlobalAveragePooling2D', `${node.name}.mean`, inputs, CHANNELS_LAST);
      return push(draft, 'Reshape', node.name, [mean], { target_shape: [1, 1, node.outputShape[0]] });
    }
    default:
      return assertExhaustive(node);
  }
}

const CHANNELS_LAST = { data_format: 'channels_last' };
/** Makes a layer that works on the last two axes take those of our NHWC for them: width and channels. */
const CHANNELS_FIRST = { data_format: 'channels_first' };

/**
 * TensorFlow.js has no groups: each is a convolution of its own. `same` padding is ours at stride 1 alone; elsewhere it
 * may lie at one side only.
 */
function writeConv(draft: Draft, node: ConvNode, input: string): string {
  const { name, kernel, stride, padding, groups, tensors } = node;
  const [outputs, inputs] = tensors[0]!.shape as [number, number];
  const isSame = stride === 1 || padding === 0;
  const padded = isSame ? input : pad(draft, `${name}.padded`, input, [padding, padding], [padding, padding]);
  const convolve = (layer: string, from: string, group: number) => {
    const filters = outputs / groups;
    const start = group * filters;
    const end = start + filters;
    const each = inputs * kernel ** 2;
    const weight = tensorOf(draft, node, 0).subarray(start * each, end * each);
    addKernel(draft, `${layer}/kernel`, [kernel, kernel, inputs, filters], weight);
    if (node.bias) addVector(draft, `${layer}/bias`, tensorOf(draft, node, 1).subarray(start, end));
    return push(draft, 'Conv2D', layer, [from], {
      ...CHANNELS_LAST,
      filters,
      kernel_size: [kernel, kernel],
      strides: [stride, stride],
      padding: isSame && padding > 0 ? 'same' : 'valid',
      use_bias: node.bias,
    });
  };
  if (groups === 1) return convolve(name, padded, 0);
  const parts = Array.from({ length: groups }, (_, group) => {
    const cropping = [[0, 0], [group * inputs, (groups - 1 - group) * inputs]];
    const part = push(draft, 'Cropping2D', `${name}.in${group}`, [padded], { ...CHANNELS_FIRST, cropping });
    return convolve(`${name}.${group}`, part, group);
  });
  return push(draft, 'Concatenate', name, parts, { axis: -1 });
}

function writeMaxPool(draft: Draft, graph: Graph, node: PoolNode, input: string): string {
  const [, height, width] = graph.nodes.find(({ name }) => name === node.inputs[0])?.outputShape ?? graph.inputShape;
  const [, rows, columns] = node.outputShape;
  const after = (outputs: number, size: number) =>
    Math.max(0, (outputs - 1) * node.stride + node.kernel - size - node.padding);
  const rowPadding = [node.padding, after(rows, height)];
  const padded = pad(draft, `${node.name}.padded`, input, rowPadding, [node.padding, after(columns, width)]);
  return push(draft, 'MaxPooling2D', node.name, [padded], { ...pooling(node), padding: 'valid' });
}

function writeLinear(draft: Draft, node: Node, input: string): string {
  const { name, tensors } = node;
  const [outputs, inputs] = tensors[0]!.shape as [number, number];
  const flat = push(draft, 'Flatten', `${name}.flat`, [input], CHANNELS_LAST);
  addKernel(draft, `${name}/kernel`, [inputs, outputs], tensorOf(draft, node, 0));
  addVector(draft, `${name}/bias`, tensorOf(draft, node, 1));
  return push(draft, 'Dense', name, [flat], { units: outputs, activation: 'linear', use_bias: true });
}

/** Pooling by single pixels takes every `stride`-th. */
function writePadChannels(draft: Draft, node: PadChannelsNode, input: string): string {
  const { name, stride, addedChannels } = node;
  const pool = { ...pooling({ kernel: 1, stride }), padding: 'valid' };
  const strided = stride === 1 ? input : push(draft, 'MaxPooling2D', `${name}.strided`, [input], pool);
  return pad(draft, name, strided, [0, 0], [0, addedChannels], CHANNELS_FIRST);
}

function pad(
  draft: Draft,
  name: string,
  input: string,
  first: readonly number[],
  second: readonly number[],
  format = CHANNELS_LAST,
): string {
  return push(draft, 'ZeroPadding2D', name, [input], { ...format, padding: [first, second] });
}

function pooling({ kernel, stride }: Pick<PoolNode, 'kernel' | 'stride'>): object {
  return { ...CHANNELS_LAST, pool_size: [kernel, kernel], strides: [stride, stride] };
}

function push(draft: Draft, className: string, name: string, inputs: readonly string[], config: object): string {
  const inbound = inputs.map((input) => [input, 0, 0, {}]);
  const layer = { class_name: className, name, config: { name, ...config } };
  draft.layers.push({ ...layer, inbound_nodes: inbound.length > 0 ? [inbound] : [] });
  return name;
}

function addVector(draft: Draft, name: string, values: Float32Array): void {
  const spec = { name, shape: [values.length], dtype: 'float32' } as const;
  draft.weights.push({ spec, fill: (target) => target.set(values) });
}

/** `values` are OIHW or OI; `shape` says HWIO or IO. */
function addKernel(draft: Draft, name: string, shape: readonly number[], values: Float32Array): void {
  const [inputs, outputs] = shape.slice(-2) as [number, number];
  const fill = (target: Float32Array) => transposeKernel(values, target, inputs, outputs);
  draft.weights.push({ spec: { name, shape, dtype: 'float32' }, fill });
}

function tensorOf(draft: Draft, node: Node, index: number): Float32Array {
  const { name } = node.tensors[index]!;
  const values = draft.tensors.get(name);
  if (!values) throw new Error(`${name}: no such tensor`);
  return values;
}

function transposeKernel(values: Float32Array, target: Float32Array, inputs: number, outputs: number): void {
  const pixels = values.length / (inputs * outputs);
  let source = 0;
  for (let output = 0; output < outputs; output++)
    for (let input = 0; input < inputs; input++)
      for (let pixel = 0; pixel < pixels; pixel++)
        target[(pixel * inputs + input) * outputs + output] = values[source++]!;
}

function joinWeights(weights: readonly Weight[]): Float32Array {
  const sizes = weights.map(({ spec }) => spec.shape.reduce((size, next) => size * next, 1));
  const all = new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  let offset = 0;
  for (const [index, { fill }] of weights.entries()) fill(all.subarray(offset, (offset += sizes[index]!)));
  return all;
}
