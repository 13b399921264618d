import type { Node, PlainNode, PoolNode, Shape, TensorRole, TensorSpec } from './graph.js';

/**
 * One function for each kind of node: appends it to a graph under construction and gives its output, so that a network
 * reads as the equations of its paper.
 */

/** An activation: the node that puts it out, and its [C, H, W]. */
export interface Wire {
  readonly name: string;
  readonly shape: Shape;
}

export interface ConvOptions {
  readonly outputs: number;
  readonly kernel: number;
  readonly stride?: number;
  readonly groups?: number;
  readonly bias: boolean;
}

/** Zero padding keeps the size at stride 1: a side of n becomes ceil(n / stride). */
export function conv(nodes: Node[], name: string, x: Wire, options: ConvOptions): Wire {
  const { outputs, kernel, stride = 1, groups = 1, bias } = options;
  const padding = (kernel - 1) / 2;
  const [channels, height, width] = x.shape;
  const tensors = [
    tensor(name, 'weight', [outputs, channels / groups, kernel, kernel]),
    ...(bias ? [tensor(name, 'bias', [outputs])] : []),
  ];
  const outputShape: Shape = [outputs, Math.ceil(height / stride), Math.ceil(width / stride)];
  const inputs = [x.name];
  return append(nodes, { kind: 'conv', name, inputs, outputShape, tensors, kernel, stride, padding, groups, bias });
}

/** PyTorch's defaults: epsilon 1e-5, momentum 0.1. */
export function batchNorm(nodes: Node[], name: string, x: Wire): Wire {
  const size = [x.shape[0]];
  const tensors = [
    tensor(name, 'scale', size),
    tensor(name, 'shift', size),
    tensor(name, 'runningMean', size),
    tensor(name, 'runningVariance', size),
  ];
  return append(nodes, {
    kind: 'batchNorm', name, inputs: [x.name], outputShape: x.shape, tensors, epsilon: 1e-5, momentum: 0.1,
  });
}

/** The stem's 3x3/2 pooling. */
export function maxPool(nodes: Node[], name: string, x: Wire): Wire {
  return pool(nodes, name, x, { kind: 'maxPool', kernel: 3, stride: 2, padding: 1, ceilMode: false });
}

/** Means of `stride` x `stride` pixels; fewer at the right and the bottom edge. */
export function averagePool(nodes: Node[], name: string, x: Wire, stride: number): Wire {
  return pool(nodes, name, x, { kind: 'averagePool', kernel: stride, stride, padding: 0, ceilMode: true });
}

type PoolOptions = Pick<PoolNode, 'kind' | 'kernel' | 'stride' | 'padding' | 'ceilMode'>;

function pool(nodes: Node[], name: string, x: Wire, options: PoolOptions): Wire {
  const [channels, height, width] = x.shape;
  const outputShape: Shape = [channels, Math.ceil(height / options.stride), Math.ceil(width / options.stride)];
  return append(nodes, { ...options, name, inputs: [x.name], outputShape, tensors: [] });
}

/** Every `stride`-th pixel, then zero channels up to `outputs`. */
export function padChannels(nodes: Node[], name: string, x: Wire, outputs: number, stride: number): Wire {
  const [channels, height, width] = x.shape;
  const outputShape: Shape = [outputs, Math.ceil(height / stride), Math.ceil(width / stride)];
  return append(nodes, {
    kind: 'padChannels', name, inputs: [x.name], outputShape, tensors: [], stride, addedChannels: outputs - channels,
  });
}

export function linear(nodes: Node[], name: string, x: Wire, outputs: number): Wire {
  const inputs = x.shape[0] * x.shape[1] * x.shape[2];
  const tensors = [tensor(name, 'weight', [outputs, inputs]), tensor(name, 'bias', [outputs])];
  return append(nodes, { kind: 'linear', name, inputs: [x.name], outputShape: [outputs, 1, 1], tensors, bias: true });
}

/** Nothing at rate 0. */
export function drop(nodes: Node[], kind: 'dropPath' | 'dropout', name: string, x: Wire, rate: number): Wire {
  if (rate === 0) return x;
  return append(nodes, { kind, name, inputs: [x.name], outputShape: x.shape, tensors: [], rate });
}

export function globalAveragePool(nodes: Node[], name: string, x: Wire): Wire {
  const outputShape: Shape = [x.shape[0], 1, 1];
  return append(nodes, { kind: 'globalAveragePool', name, inputs: [x.name], outputShape, tensors: [] });
}

type PointwiseKind = Exclude<PlainNode['kind'], 'globalAveragePool'>;

/** relu, sigmoid: one input; add, scale: two, the shape is the first's. */
export function pointwise(nodes: Node[], kind: PointwiseKind, name: string, x: Wire, other?: Wire): Wire {
  const inputs = other ? [x.name, other.name] : [x.name];
  return append(nodes, { kind, name, inputs, outputShape: x.shape, tensors: [] });
}

function append(nodes: Node[], node: Node): Wire {
  nodes.push(node);
  return { name: node.name, shape: node.outputShape };
}

const SUFFIX: Record<TensorRole, string> = {
  weight: 'weight',
  bias: 'bias',
  scale: 'weight',
  shift: 'bias',
  runningMean: 'running_mean',
  runningVariance: 'running_var',
};

/** `name` is the module's; the tensor's name is state_dict's. */
function tensor(name: string, role: TensorRole, shape: readonly number[]): TensorSpec {
  return { name: `${name}.${SUFFIX[role]}`, role, shape };
}
