import { INPUT, type Graph, type LinearNode, type Node, type Shape, type TensorMap } from '../domain/network/graph.js';
import { assertExhaustive } from '../errors.js';
import {
  ATTRIBUTE,
  DATA_TYPE,
  encodeModel,
  type AttributeProto,
  type NodeProto,
  type TensorProto,
  type ValueInfoProto,
} from './onnx-schema.js';

export interface OnnxMetadata {
  readonly classNames: readonly string[];
  /** For each channel, of pixels in [0, 1]: the network's input is (pixel / 255 - mean) / std. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** @default 'residual' */
  readonly producer?: string;
}

/** What one protobuf message can hold, less room for everything but the tensors. */
const MAX_TENSOR_BYTES = 2 ** 31 - 2 ** 24;

/** The network cannot be written as one ONNX file. */
export class OnnxError extends Error {
  override readonly name = 'OnnxError';
}

/**
 * A trained network for evaluation: ONNX IR version 8, opset 17.
 *
 * Input `input`: float32 (batch, C, H, W), normalised. Outputs: `logits` (batch, K), their softmax `probabilities`, and
 * `class_activation_map` (batch, H', W') of the likeliest class (`writeClassActivationMap`).
 * Initializers have state_dict's names and layouts; batch norms stay (a runtime folds them), drop nodes go.
 * Metadata, as JSON: `class_names`, `mean`, `std`, `input_shape` ([C, H, W]).
 * @throws OnnxError where a tensor is missing or all of them together pass protobuf's 2 GiB.
 */
export function encodeOnnx(graph: Graph, tensors: TensorMap, metadata: OnnxMetadata): Uint8Array {
  checkTensors(graph, tensors);
  const { nodes, initializers, mapShape } = writeNodes(graph, tensors);
  const { classNames, mean, std, producer = 'residual' } = metadata;
  const properties = { class_names: classNames, mean, std, input_shape: graph.inputShape };
  return encodeModel({
    irVersion: 8,
    producerName: producer,
    producerVersion: '1',
    opsetImport: [{ domain: '', version: 17 }],
    metadataProps: Object.entries(properties).map(([key, value]) => ({ key, value: JSON.stringify(value) })),
    graph: {
      name: 'residual',
      node: nodes,
      initializer: initializers,
      input: [valueInfo('input', graph.inputShape)],
      output: [
        valueInfo('logits', [graph.numClasses]),
        valueInfo('probabilities', [graph.numClasses]),
        valueInfo('class_activation_map', mapShape),
      ],
    },
  });
}

function checkTensors(graph: Graph, tensors: TensorMap): void {
  let bytes = 0;
  for (const { name, shape } of graph.nodes.flatMap((node) => node.tensors)) {
    const count = shape.reduce((product, size) => product * size, 1);
    if (tensors.get(name)?.length !== count) throw new OnnxError(`${name}: no tensor of ${count} values`);
    bytes += 4 * count;
  }
  if (bytes > MAX_TENSOR_BYTES)
    throw new OnnxError(`${bytes} bytes of weights: an ONNX file without external data holds at most ${MAX_TENSOR_BYTES}`);
}

interface Draft {
  readonly nodes: NodeProto[];
  readonly initializers: TensorProto[];
  /** Where each of the graph's outputs is found in the ONNX graph. */
  readonly values: Map<string, string>;
}

function writeNodes(graph: Graph, tensors: TensorMap): Draft & { mapShape: [height: number, width: number] } {
  const draft: Draft = { nodes: [], initializers: [], values: new Map([[INPUT, 'input']]) };
  for (const node of graph.nodes) {
    for (const { name, shape } of node.tensors) draft.initializers.push(floatTensor(name, shape, tensors.get(name)!));
    const inputs = node.inputs.map((input) => draft.values.get(input)!);
    draft.values.set(node.name, writeNode(draft, node, inputs, node.name === graph.output ? 'logits' : node.name));
  }
  push(draft, 'Softmax', 'probabilities', ['logits'], 'probabilities', { axis: 1 });
  return { ...draft, mapShape: writeClassActivationMap(draft, graph) };
}

/**
 * Zhou et al. 2016 (arXiv 1512.04150), equation 2, of the likeliest class c: M(y, x) = sum over k of weight[c, k] *
 * f[k, y, x], with f what the global average pool reads. So mean(M) + bias[c] is the class's logit. Only that class's
 * map is computed: 2 C H' W' multiply-adds an image, too few to be worth a graph of their own
 * (docs/decisions/0008-class-activation-maps.md).
 */
function writeClassActivationMap(draft: Draft, graph: Graph): [height: number, width: number] {
  const { classifier, pooled } = findHead(graph);
  const [channels, height, width] = pooled.outputShape;
  const name = 'class_activation_map';
  const part = (suffix: string) => `${name}.${suffix}`;
  draft.initializers.push(int64Tensor(part('pixels'), [0, channels, height * width]));
  draft.initializers.push(int64Tensor(part('shape'), [0, height, width]));
  push(draft, 'ArgMax', part('class'), ['probabilities'], part('class'), { axis: 1, keepdims: 1 });
  push(draft, 'Gather', part('weight'), [classifier.tensors[0]!.name, part('class')], part('weight'), { axis: 0 });
  push(draft, 'Reshape', part('flat'), [draft.values.get(pooled.name)!, part('pixels')], part('flat'));
  push(draft, 'MatMul', part('sum'), [part('weight'), part('flat')], part('sum'));
  push(draft, 'Reshape', name, [part('sum'), part('shape')], name);
  return [height, width];
}

/** The classifier, and the activation that its global average pool reads. */
function findHead({ nodes, output }: Graph): { classifier: LinearNode; pooled: Node } {
  const find = (name: string | undefined) => nodes.find((node) => node.name === name);
  const classifier = find(output);
  const pool = find(classifier?.inputs[0]);
  const pooled = find(pool?.inputs[0]);
  if (classifier?.kind !== 'linear' || pool?.kind !== 'globalAveragePool' || pooled === undefined)
    throw new OnnxError('the network does not end with a global average pool and a linear classifier');
  return { classifier, pooled };
}

/** Gives the name of the value that the node puts out. */
function writeNode(draft: Draft, node: Node, inputs: readonly string[], output: string): string {
  const operands = [...inputs, ...node.tensors.map(({ name }) => name)];
  const write = (opType: string, attributes: Attributes = {}, from = operands) =>
    push(draft, opType, node.name, from, output, attributes);
  switch (node.kind) {
    case 'conv':
      return write('Conv', { ...window(node), group: node.groups });
    case 'batchNorm':
      // ONNX's momentum is the share that the running statistics keep.
      return write('BatchNormalization', { epsilon: float(node.epsilon), momentum: float(1 - node.momentum) });
    case 'maxPool':
      return write('MaxPool', { ...window(node), ceil_mode: Number(node.ceilMode) });
    case 'averagePool':
      return write('AveragePool', { ...window(node), ceil_mode: Number(node.ceilMode), count_include_pad: 0 });
    case 'linear': {
      const flat = push(draft, 'Flatten', `${node.name}.flatten`, inputs, `${node.name}.flat`, { axis: 1 });
      return write('Gemm', { transB: 1 }, [flat, ...operands.slice(1)]);
    }
    case 'padChannels':
      return writePadChannels(draft, node, inputs[0]!);
    case 'dropPath':
    case 'dropout':
      return inputs[0]!;
    case 'relu':
    case 'sigmoid':
    case 'add':
    case 'scale':
    case 'globalAveragePool':
      return write(PLAIN_OPERATORS[node.kind]);
    default:
      return assertExhaustive(node);
  }
}

const PLAIN_OPERATORS = {
  relu: 'Relu',
  sigmoid: 'Sigmoid',
  add: 'Add',
  scale: 'Mul',
  globalAveragePool: 'GlobalAveragePool',
} as const;

function writePadChannels(draft: Draft, node: Extract<Node, { kind: 'padChannels' }>, input: string): string {
  const constant = (suffix: string, values: readonly number[]) => {
    const name = `${node.name}.${suffix}`;
    draft.initializers.push(int64Tensor(name, values));
    return name;
  };
  let value = input;
  if (node.stride > 1) {
    const [, height, width] = node.outputShape;
    const ends = [height * node.stride, width * node.stride];
    const operands = [
      value,
      constant('starts', [0, 0]),
      constant('ends', ends),
      constant('axes', [2, 3]),
      constant('steps', [node.stride, node.stride]),
    ];
    value = push(draft, 'Slice', `${node.name}.slice`, operands, `${node.name}.sliced`);
  }
  if (node.addedChannels === 0) return value;
  const pads = constant('pads', [0, 0, 0, 0, 0, node.addedChannels, 0, 0]);
  return push(draft, 'Pad', node.name, [value, pads], node.name);
}

/** A float attribute, told apart from an integer one. */
interface Float {
  readonly float: number;
}
type Attributes = Readonly<Record<string, number | readonly number[] | Float>>;
const float = (value: number): Float => ({ float: value });

function push(
  draft: Draft,
  opType: string,
  name: string,
  input: readonly string[],
  output: string,
  attributes: Attributes = {},
): string {
  const attribute = Object.entries(attributes).map(([key, value]) => attributeProto(key, value));
  draft.nodes.push({ name, opType, input, output: [output], attribute });
  return output;
}

function attributeProto(name: string, value: Attributes[string]): AttributeProto {
  if (typeof value === 'number') return { name, type: ATTRIBUTE.int, i: value };
  if ('float' in value) return { name, type: ATTRIBUTE.float, f: value.float };
  return { name, type: ATTRIBUTE.ints, ints: value };
}

function window({ kernel, stride, padding }: { kernel: number; stride: number; padding: number }): Attributes {
  return { kernel_shape: [kernel, kernel], strides: [stride, stride], pads: [padding, padding, padding, padding] };
}

function floatTensor(name: string, dims: readonly number[], values: Float32Array): TensorProto {
  return { name, dims, dataType: DATA_TYPE.float, rawData: bytesOf(values) };
}

function int64Tensor(name: string, values: readonly number[]): TensorProto {
  const rawData = bytesOf(BigInt64Array.from(values, BigInt));
  return { name, dims: [values.length], dataType: DATA_TYPE.int64, rawData };
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

/** `shape` is one image's. */
function valueInfo(name: string, shape: Shape | readonly [number] | readonly [number, number]): ValueInfoProto {
  const dim = [{ dimParam: 'batch' }, ...shape.map((dimValue) => ({ dimValue }))];
  return { name, type: { tensorType: { elemType: DATA_TYPE.float, shape: { dim } } } };
}
