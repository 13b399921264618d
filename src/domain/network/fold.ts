import type { BatchNormNode, ConvNode, Graph, Node, TensorMap, TensorSpec } from './graph.js';

/** A network for evaluation alone, which puts out what the one it was made from does. */
export interface FoldedNetwork {
  readonly graph: Graph;
  readonly tensors: TensorMap;
}

/**
 * Each batch norm that alone reads a convolution becomes a part of it (Jacob et al. 2018, section 3.2), channel by
 * channel: weight' = weight * f and bias' = (bias - mean) * f + shift, with f = scale / sqrt(variance + epsilon).
 * The norms of a pre-activated network that read a sum stay.
 */
export function foldBatchNorms(graph: Graph, tensors: TensorMap): FoldedNetwork {
  const folded: TensorMap = new Map(tensors);
  const norms = foldableNorms(graph);
  const normOf = new Map([...norms].map(([norm, conv]) => [conv.name, norm]));
  const renamed = new Map([...norms].map(([norm, conv]) => [norm.name, conv.name]));
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    if (renamed.has(node.name)) continue;
    const inputs = node.inputs.map((input) => renamed.get(input) ?? input);
    const norm = normOf.get(node.name);
    nodes.push(node.kind === 'conv' && norm ? foldInto({ ...node, inputs }, norm, folded) : { ...node, inputs });
  }
  return { graph: { ...graph, nodes, output: renamed.get(graph.output) ?? graph.output }, tensors: folded };
}

/** Each with the convolution that it becomes a part of. */
function foldableNorms({ nodes, output }: Graph): Map<BatchNormNode, ConvNode> {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const readers = new Map<string, number>([[output, 1]]);
  for (const input of nodes.flatMap((node) => node.inputs)) readers.set(input, (readers.get(input) ?? 0) + 1);
  const found = new Map<BatchNormNode, ConvNode>();
  for (const node of nodes) {
    if (node.kind !== 'batchNorm') continue;
    const before = byName.get(node.inputs[0]!);
    if (before?.kind === 'conv' && readers.get(before.name) === 1) found.set(node, before);
  }
  return found;
}

/** Puts the convolution's new tensors in place of its own and the norm's. */
function foldInto(conv: ConvNode, norm: BatchNormNode, tensors: TensorMap): ConvNode {
  const [scale, shift, mean, variance] = norm.tensors.map(({ name }) => tensors.get(name)!) as [
    Float32Array,
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const weightSpec = conv.tensors[0]!;
  const biasSpec: TensorSpec = { name: `${conv.name}.bias`, role: 'bias', shape: [scale.length] };
  const weight = Float32Array.from(tensors.get(weightSpec.name)!);
  const bias = Float32Array.from(tensors.get(biasSpec.name) ?? new Float32Array(scale.length));
  const perChannel = weight.length / scale.length;
  for (let channel = 0; channel < scale.length; channel++) {
    const factor = scale[channel]! / Math.sqrt(variance[channel]! + norm.epsilon);
    for (let at = channel * perChannel; at < (channel + 1) * perChannel; at++) weight[at]! *= factor;
    bias[channel] = (bias[channel]! - mean[channel]!) * factor + shift[channel]!;
  }
  for (const { name } of norm.tensors) tensors.delete(name);
  tensors.set(weightSpec.name, weight).set(biasSpec.name, bias);
  return { ...conv, bias: true, tensors: [weightSpec, biasSpec] };
}
