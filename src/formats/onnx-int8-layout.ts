import { decodeModel, type ModelProto, type NodeProto, type TensorProto } from './onnx-schema.js';
import { ancestors, keepOutputs } from './onnx-subgraph.js';

/** Which of an ONNX file's nodes are computed in eight bits, and which values that makes eight-bit ones. */
export interface Int8Layout {
  /** In execution order, without the ReLUs that are superfluous: their input's maker puts out what they did. */
  readonly nodes: readonly NodeProto[];
  readonly quantized: ReadonlySet<NodeProto>;
  readonly initializers: ReadonlyMap<string, TensorProto>;
  /** The name of the network's input. */
  readonly image: string;
  /** Values that are quantised, in the order in which they are computed. */
  readonly values: readonly string[];
  /** Of those, the ones that have the scale of another, by name. */
  readonly scaleFrom: ReadonlyMap<string, string>;
}

const WEIGHTED = ['Conv', 'Gemm'];
/** With integer kernels of their own, where all that they read are activations. */
const POINTWISE = ['Add', 'Mul', 'Sigmoid', 'GlobalAveragePool', 'AveragePool'];
/** They move values or choose among them, so what comes out has the scale of what goes in. */
const KEEPS_SCALE = ['MaxPool', 'Flatten', 'Slice', 'Pad'];

export const isWeighted = ({ opType }: NodeProto) => WEIGHTED.includes(opType);

/**
 * What of a float file becomes the eight-bit one: its network without the class activation map, which would keep the
 * classifier's weights in float32 beside those in eight bits.
 */
export const decodeForInt8 = (onnx: Uint8Array): ModelProto =>
  keepOutputs(decodeModel(onnx), ['logits', 'probabilities']);

/** Whatever the logits do not follow from, and what has no integer form (a batch norm, a softmax), stays in float32. */
export function layOutInt8({ graph }: ModelProto): Int8Layout {
  const initializers = new Map(graph.initializer.map((tensor) => [tensor.name, tensor]));
  const activations = ({ input }: NodeProto) => input.filter((name) => !initializers.has(name));
  const needed = ancestors(graph.node, ['logits']);
  const isQuantized = (node: NodeProto) =>
    needed.has(node.output[0]!) &&
    (isWeighted(node) ||
      KEEPS_SCALE.includes(node.opType) ||
      (POINTWISE.includes(node.opType) && activations(node).length === node.input.length));

  const nodes = mergeRelus(graph, isQuantized);
  const quantized = new Set(nodes.filter(isQuantized));
  const wanted = new Set([...quantized].flatMap((node) => [...activations(node), ...node.output]));
  // What the classes are told apart by keeps all its bits.
  wanted.delete('logits');
  const image = graph.input[0]!.name;
  const values = [image, ...nodes.flatMap(({ output }) => output)].filter((value) => wanted.has(value));
  const keepers = [...quantized].filter(({ opType }) => KEEPS_SCALE.includes(opType));
  const scaleFrom = new Map(keepers.map(({ input, output }) => [output[0]!, input[0]!]));
  return { nodes, quantized, initializers, image, values, scaleFrom };
}

/**
 * Quantising cuts off what is below the range, and a ReLU's range begins at zero: where its output is quantised it has
 * nothing left to do, unless somebody else reads what it reads.
 */
function mergeRelus(
  { node: nodes, output: outputs }: ModelProto['graph'],
  isQuantized: (node: NodeProto) => boolean,
): NodeProto[] {
  const makers = new Map(nodes.map((node) => [node.output[0]!, node]));
  const readers = new Map(outputs.map(({ name }) => [name, 1]));
  for (const name of nodes.flatMap(({ input }) => input)) readers.set(name, (readers.get(name) ?? 0) + 1);
  const readInEightBits = new Set(nodes.filter(isQuantized).flatMap(({ input }) => input));
  const merged = new Map<NodeProto, NodeProto>();
  for (const relu of nodes) {
    const [before, after] = [relu.input[0]!, relu.output[0]!];
    const maker = makers.get(before);
    if (relu.opType !== 'Relu' || !maker || readers.get(before) !== 1) continue;
    if (isQuantized(maker) || readInEightBits.has(after)) merged.set(maker, relu);
  }
  const dropped = new Set(merged.values());
  const kept = nodes.filter((node) => !dropped.has(node));
  return kept.map((node) => ({ ...node, output: merged.get(node)?.output ?? node.output }));
}
