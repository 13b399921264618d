import * as tf from '@tensorflow/tfjs';
import {
  graphTensors,
  INPUT,
  isTrained,
  type ConvNode,
  type BatchNormNode,
  type DropNode,
  type Graph,
  type Node,
  type PoolNode,
  type TensorSpec,
} from '../../../domain/network/graph.js';
import { CounterRandom, STREAM } from '../../../domain/seed.js';
import { assertExhaustive } from '../../../errors.js';

/**
 * A `Graph` as a TensorFlow.js layers model: one layer for each node, under its name. Activations are NHWC.
 *
 * The layers are our own, because TensorFlow.js's differ from PyTorch where results show it: `same` padding lies
 * elsewhere at stride 2, batch norm's running variance is biased, pooling windows are not rounded up, and there are no
 * groups.
 */
export interface GraphModel {
  readonly model: tf.LayersModel;
  /** By state_dict name, in TensorFlow.js's layout. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
}

/** What drop masks are drawn from; `step` is set before each step. */
export interface DropState {
  readonly seed: number;
  step: number;
}

export function buildModel(graph: Graph, drops: DropState): GraphModel {
  const [channels, height, width] = graph.inputShape;
  const image = tf.input({ shape: [height, width, channels], name: INPUT });
  const outputs = new Map<string, tf.SymbolicTensor>([[INPUT, image]]);
  const layers = graph.nodes.map((node, position) => {
    const layer = new NodeLayer(node, position, drops);
    const inputs = node.inputs.map((input) => outputs.get(input)!);
    outputs.set(node.name, layer.apply(inputs) as tf.SymbolicTensor);
    return layer;
  });
  const model = tf.model({ inputs: image, outputs: outputs.get(graph.output)! });
  return { model, variables: new Map(layers.flatMap((layer) => [...layer.variables])) };
}

/** OIHW becomes HWIO, OI becomes IO. The caller disposes of the tensor. */
export function toTensorFlow({ shape }: TensorSpec, values: Float32Array): tf.Tensor {
  return tf.tidy(() => tf.transpose(tf.tensor(values, [...shape]), LAYOUT[shape.length]));
}

/** Back into state_dict's layout. */
export function fromTensorFlow({ shape }: TensorSpec, tensor: tf.Tensor): Float32Array {
  // A copy, since the CPU backend gives the tensor's own memory.
  return tf.tidy(() => Float32Array.from(tf.transpose(tensor, LAYOUT_BACK[shape.length]).dataSync()));
}

const LAYOUT: Record<number, number[]> = { 1: [0], 2: [1, 0], 4: [2, 3, 1, 0] };
const LAYOUT_BACK: Record<number, number[]> = { 1: [0], 2: [1, 0], 4: [3, 2, 0, 1] };

export const specsByName = (graph: Graph) => new Map(graphTensors(graph).map((spec) => [spec.name, spec]));

type Image = tf.Tensor4D;

class NodeLayer extends tf.layers.Layer {
  static readonly className = 'ResidualNode';
  readonly variables = new Map<string, tf.Variable>();
  private readonly byRole = new Map<string, tf.Variable>();

  constructor(
    private readonly node: Node,
    private readonly position: number,
    private readonly drops: DropState,
  ) {
    super({ name: node.name });
    for (const spec of node.tensors) {
      const shape = LAYOUT[spec.shape.length]!.map((axis) => spec.shape[axis]!);
      const variable = this.addVariable(spec, shape);
      this.variables.set(spec.name, variable);
      this.byRole.set(spec.role, variable);
    }
  }

  /** TensorFlow.js would keep the zeros that the variable starts from. */
  private addVariable(spec: TensorSpec, shape: number[]): tf.Variable {
    return tf.tidy(() => {
      const weight = this.addWeight(spec.name, shape, 'float32', tf.initializers.zeros(), undefined, isTrained(spec));
      return weight.read() as tf.Variable;
    });
  }

  override computeOutputShape(): tf.Shape {
    const [channels, height, width] = this.node.outputShape;
    return this.node.kind === 'linear' ? [null, channels] : [null, height, width, channels];
  }

  override call(inputs: tf.Tensor | tf.Tensor[], { training = false }: { training?: boolean }): tf.Tensor {
    const [x, other] = (Array.isArray(inputs) ? inputs : [inputs]) as [Image, Image];
    return tf.tidy(() => this.compute(x, other, training));
  }

  private compute(x: Image, other: Image, training: boolean): tf.Tensor {
    const { node } = this;
    switch (node.kind) {
      case 'conv':
        return this.convolve(node, x);
      case 'batchNorm':
        return this.normalise(node, x, training);
      case 'maxPool':
        return tf.maxPool(padForPool(node, x, -MAX_FLOAT32), node.kernel, node.stride, 'valid');
      case 'averagePool':
        return averagePool(node, x);
      case 'linear':
        return this.linear(x);
      case 'padChannels':
        // A 1x1 average is the pixel itself, and unlike a strided slice it has a gradient.
        return tf.pad(tf.avgPool(x, 1, node.stride, 'valid'), [NONE, NONE, NONE, [0, node.addedChannels]]);
      case 'dropPath':
        return training ? this.drop(node, x, [x.shape[0], 1, 1, 1]) : tf.clone(x);
      case 'dropout':
        return training ? this.drop(node, x, x.shape) : tf.clone(x);
      case 'relu':
        return tf.relu(x);
      case 'sigmoid':
        return tf.sigmoid(x);
      case 'add':
        return tf.add(x, other);
      case 'scale':
        return tf.mul(x, other);
      case 'globalAveragePool':
        return tf.mean(x, [1, 2], true);
      default:
        return assertExhaustive(node);
    }
  }

  private variable(role: TensorSpec['role']): tf.Variable {
    const found = this.byRole.get(role);
    if (!found) throw new Error(`${this.name} has no ${role}`);
    return found;
  }

  private convolve({ stride, padding, groups, bias }: ConvNode, x: Image): tf.Tensor {
    const padded = padding === 0 ? x : tf.pad(x, [NONE, [padding, padding], [padding, padding], NONE]);
    const weight = this.variable('weight') as unknown as Image;
    const outputs = weight.shape[3] / groups;
    const each = Array.from({ length: groups }, (_, group) => {
      const image = groups === 1 ? padded : channelsOf(padded, group, weight.shape[2]);
      const filter = groups === 1 ? weight : channelsOf(weight, group, outputs);
      return tf.conv2d(image, filter, stride, 'valid');
    });
    const y = groups === 1 ? each[0]! : tf.concat(each, 3);
    return bias ? tf.add(y, this.variable('bias')) : y;
  }

  private normalise({ epsilon, momentum }: BatchNormNode, x: Image, training: boolean): tf.Tensor {
    const runningMean = this.variable('runningMean');
    const runningVariance = this.variable('runningVariance');
    const { mean, variance } = training ? tf.moments(x, [0, 1, 2]) : { mean: runningMean, variance: runningVariance };
    if (training) {
      const values = x.shape[0] * x.shape[1] * x.shape[2];
      // The batch is normalised by its own variance; the running one is an estimate of the population's.
      follow(runningMean, mean, momentum);
      follow(runningVariance, tf.mul(variance, values / Math.max(values - 1, 1)), momentum);
    }
    const factor = tf.mul(tf.rsqrt(tf.add(variance, epsilon)), this.variable('scale'));
    return tf.add(tf.mul(tf.sub(x, mean), factor), this.variable('shift'));
  }

  private linear(x: Image): tf.Tensor {
    // A weight's inputs are in the order C, H, W.
    const flat = tf.reshape(tf.transpose(x, [0, 3, 1, 2]), [x.shape[0], -1]);
    return tf.add(tf.matMul(flat, this.variable('weight')), this.variable('bias'));
  }

  private drop({ rate }: DropNode, x: Image, shape: number[]): tf.Tensor {
    const { seed, step } = this.drops;
    const random = new CounterRandom(seed, STREAM.drop, step, this.position);
    const kept = new Float32Array(shape.reduce((product, size) => product * size, 1));
    for (let i = 0; i < kept.length; i++) kept[i] = random.uniform() < rate ? 0 : 1 / (1 - rate);
    return tf.mul(x, tf.tensor(kept, shape));
  }
}

/** Padding before and behind an axis. */
const NONE: [number, number] = [0, 0];
const MAX_FLOAT32 = 3.402_823_466_385_288_6e38;

/** The `count` channels of a group, out of the last axis. */
function channelsOf(x: Image, group: number, count: number): Image {
  const [first, second, third] = x.shape;
  return tf.slice(x, [0, 0, 0, group * count], [first, second, third, count]);
}

function follow(running: tf.Variable, batch: tf.Tensor, momentum: number): void {
  running.assign(tf.add(tf.mul(running, 1 - momentum), tf.mul(batch, momentum)));
}

/** As many values at each side as all outputs' windows reach over; they may end past the padding (`ceilMode`). */
function padForPool({ kernel, stride, padding, outputShape }: PoolNode, x: Image, value: number): Image {
  const [, height, width] = outputShape;
  const after = (outputs: number, inputs: number) => Math.max(0, (outputs - 1) * stride + kernel - inputs - padding);
  const rows = [padding, after(height, x.shape[1])] as [number, number];
  const columns = [padding, after(width, x.shape[2])] as [number, number];
  return tf.pad(x, [NONE, rows, columns, NONE], value);
}

/** Divides by how many values of the image itself each window holds. */
function averagePool(node: PoolNode, x: Image): tf.Tensor {
  const mean = (image: Image): Image => tf.avgPool(padForPool(node, image, 0), node.kernel, node.stride, 'valid');
  const share = mean(tf.ones([1, x.shape[1], x.shape[2], 1]) as Image);
  return tf.div(mean(x), share);
}
