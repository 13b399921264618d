/**
 * A network as its four readers see it: the native engine, the TensorFlow.js engine, the ONNX writer and the summary.
 *
 * A `Graph` is a list of nodes in execution order. Every activation is one image's tensor of shape [C, H, W] (after
 * `globalAveragePool`: [C, 1, 1]; after `linear`: [K, 1, 1]); the batch dimension is the reader's business. No reader
 * knows what a residual block is.
 */
export interface Graph {
  /** [C, H, W] of the image that enters under the name `input`. */
  readonly inputShape: Shape;
  readonly numClasses: number;
  readonly nodes: readonly Node[];
  /** Name of the node whose output are the logits. */
  readonly output: string;
}

/** [C, H, W] */
export type Shape = readonly [channels: number, height: number, width: number];

/** The name that a node gives as its input to read the image. */
export const INPUT = 'input';

export type TensorRole =
  | 'weight' // conv: [O, I / groups, KH, KW]; linear: [O, I]
  | 'bias' // [O]
  | 'scale' // batch norm's weight: [C]
  | 'shift' // batch norm's bias: [C]
  | 'runningMean' // [C], not trained
  | 'runningVariance'; // [C], not trained, unbiased as in PyTorch

/** A named tensor of torchvision's state_dict: same name, same layout. */
export interface TensorSpec {
  readonly name: string;
  readonly role: TensorRole;
  readonly shape: readonly number[];
}

interface NodeBase {
  /** torchvision's module name, such as `layer1.0.conv1`; unique in the graph. */
  readonly name: string;
  /** Names of the nodes (or `INPUT`) whose outputs this one reads, in order. */
  readonly inputs: readonly string[];
  readonly outputShape: Shape;
  /** Trained tensors and running statistics, in state_dict order; empty for nodes without. */
  readonly tensors: readonly TensorSpec[];
}

export type Node =
  | ConvNode
  | BatchNormNode
  | PoolNode
  | LinearNode
  | PadChannelsNode
  | DropNode
  | PlainNode;

/** 2-D convolution, zero padding the same on all four sides, no dilation. */
export interface ConvNode extends NodeBase {
  readonly kind: 'conv';
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly groups: number;
  readonly bias: boolean;
}

/** y = (x - mean) / sqrt(variance + epsilon) * scale + shift; running = (1 - momentum) * running + momentum * batch. */
export interface BatchNormNode extends NodeBase {
  readonly kind: 'batchNorm';
  readonly epsilon: number;
  readonly momentum: number;
}

/** `averagePool` does not count padding; `ceilMode` as PyTorch's: a last window that starts inside the image counts. */
export interface PoolNode extends NodeBase {
  readonly kind: 'maxPool' | 'averagePool';
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
  readonly ceilMode: boolean;
}

/** logits[k] = weight[k] . x + bias[k] over the flattened input. */
export interface LinearNode extends NodeBase {
  readonly kind: 'linear';
  readonly bias: boolean;
}

/** He's shortcut A: every `stride`-th pixel, then zero channels behind the input's own (as fb.resnet.torch does). */
export interface PadChannelsNode extends NodeBase {
  readonly kind: 'padChannels';
  readonly stride: number;
  readonly addedChannels: number;
}

/**
 * `dropPath` zeroes a whole image's branch (and scales the rest by 1 / (1 - rate)), `dropout` single values; both are
 * the identity in evaluation. Number e of `new CounterRandom(seed, STREAM.drop, step, position)`, with the node's
 * position in the graph and steps counted from 0, decides over image e, or over value e of the NHWC batch: dropped
 * where it is below the rate.
 */
export interface DropNode extends NodeBase {
  readonly kind: 'dropPath' | 'dropout';
  readonly rate: number;
}

/**
 * `add`: a + b. `scale`: a[C, H, W] * b[C, 1, 1] (squeeze and excitation). The others take one input.
 */
export interface PlainNode extends NodeBase {
  readonly kind: 'relu' | 'sigmoid' | 'add' | 'scale' | 'globalAveragePool';
}

export type NodeKind = Node['kind'];

/** Tensors by state_dict name, float32, row-major in the layout of their `TensorSpec`. */
export type TensorMap = Map<string, Float32Array>;

/** Every tensor of the network, in state_dict order. */
export function graphTensors(graph: Graph): TensorSpec[] {
  return graph.nodes.flatMap((node) => [...node.tensors]);
}

const TRAINED: readonly TensorRole[] = ['weight', 'bias', 'scale', 'shift'];

/** Whether the optimizer updates it (running statistics are not trained). */
export function isTrained(tensor: TensorSpec): boolean {
  return TRAINED.includes(tensor.role);
}
