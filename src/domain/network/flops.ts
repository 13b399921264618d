import { isBottleneck, type NetworkDefinition } from './definition.js';
import { INPUT, isTrained, type Graph, type Node, type NodeKind, type Shape } from './graph.js';
import { buildGraph } from './layers.js';

export interface LayerSummary {
  readonly name: string;
  readonly kind: NodeKind;
  /** [C, H, W] */
  readonly outputShape: Shape;
  /** Trained ones. */
  readonly parameters: number;
  /** A multiply-add counts as two; batch 1. Convolutions and linear layers alone, as the papers count. */
  readonly flops: number;
}

export interface NetworkSummary {
  /** Weighted layers on the longest path. */
  readonly depth: number;
  readonly parameters: number;
  readonly flops: bigint;
  /** Most activations alive at once in execution order, float32, batch 1. */
  readonly activationBytes: bigint;
  readonly layers: readonly LayerSummary[];
}

/** `summariseGraph` with the depth as the network's paper counts it. */
export function summariseNetwork(definition: NetworkDefinition): NetworkSummary {
  return { ...summariseGraph(buildGraph(definition)), depth: paperDepth(definition) };
}

/**
 * He et al. 2015: stem, blocks' convolutions and classifier (a deep stem stands for one 7x7, as in "ResNet-50-D").
 * Zagoruyko and Komodakis 2016, section 2, count every convolution, the projections too, and not the classifier.
 */
export function paperDepth({ block, stages, widthMultiplier }: NetworkDefinition): number {
  const blocks = stages.reduce((sum, stage) => sum + stage.blocks, 0);
  if (block === 'PREACT_BASIC' && widthMultiplier > 1) return 1 + 2 * blocks + stages.length;
  return 1 + (isBottleneck(block) ? 3 : 2) * blocks + 1;
}

export function summariseGraph(graph: Graph): NetworkSummary {
  const layers = graph.nodes.map(summariseNode);
  return {
    depth: longestPath(graph),
    parameters: layers.reduce((sum, layer) => sum + layer.parameters, 0),
    flops: layers.reduce((sum, layer) => sum + BigInt(layer.flops), 0n),
    activationBytes: 4n * BigInt(peakActivations(graph)),
    layers,
  };
}

/** Trained parameters; exact below 2^53, and no tensor is made to count them. */
export function countParameters(graph: Graph): number {
  return graph.nodes.reduce((sum, node) => sum + nodeParameters(node), 0);
}

function summariseNode(node: Node): LayerSummary {
  const { name, kind, outputShape } = node;
  return { name, kind, outputShape, parameters: nodeParameters(node), flops: 2 * multiplyAdds(node) };
}

function nodeParameters(node: Node): number {
  return node.tensors.filter(isTrained).reduce((sum, { shape }) => sum + elements(shape), 0);
}

/** Each weight of a convolution or a linear layer is used once for each output pixel. */
function multiplyAdds(node: Node): number {
  const weight = node.tensors.find(({ role }) => role === 'weight');
  return weight ? elements(weight.shape) * node.outputShape[1] * node.outputShape[2] : 0;
}

/** The gate of squeeze and excitation is beside the path, not on it. */
function longestPath(graph: Graph): number {
  const depths = new Map<string, number>([[INPUT, 0]]);
  for (const node of graph.nodes) {
    const inputs = node.kind === 'scale' ? node.inputs.slice(0, 1) : node.inputs;
    const before = Math.max(...inputs.map((input) => depths.get(input)!));
    depths.set(node.name, before + (node.kind === 'conv' || node.kind === 'linear' ? 1 : 0));
  }
  return depths.get(graph.output)!;
}

/** In elements: a node's output comes to life before its inputs, if it is their last reader, are let go. */
function peakActivations(graph: Graph): number {
  const lastReader = new Map<string, string>();
  for (const node of graph.nodes) for (const input of node.inputs) lastReader.set(input, node.name);
  const sizes = new Map<string, number>([[INPUT, elements(graph.inputShape)]]);
  let alive = elements(graph.inputShape);
  let peak = alive;
  for (const node of graph.nodes) {
    sizes.set(node.name, elements(node.outputShape));
    alive += elements(node.outputShape);
    peak = Math.max(peak, alive);
    for (const input of new Set(node.inputs)) if (lastReader.get(input) === node.name) alive -= sizes.get(input)!;
  }
  return peak;
}

const elements = (shape: readonly number[]) => shape.reduce((product, size) => product * size, 1);
