import * as tf from '@tensorflow/tfjs';
import { isTrained, type Graph, type TensorMap, type TensorSpec } from '../../../domain/network/graph.js';
import type { Batch, SessionOptions, StepResult } from '../../engine.js';
import {
  buildModel,
  fromTensorFlow,
  specsByName,
  toTensorFlow,
  type DropState,
  type GraphModel,
} from './model.js';
import { Optimizer } from './optimizer.js';

/**
 * A training session of the TensorFlow.js engine, computed where it is called: every method blocks. Its face to the
 * rest is the `TrainingSession` of `../tfjs.ts`, with a thread between.
 */
export class TfjsSession {
  private readonly specs: ReadonlyMap<string, TensorSpec>;
  private readonly network: GraphModel;
  private readonly optimizer: Optimizer;
  private readonly drops: DropState;
  private lastGradients: tf.NamedTensorMap = {};

  constructor(
    private readonly graph: Graph,
    initial: TensorMap,
    private readonly options: SessionOptions,
  ) {
    if (options.precision !== 'FLOAT32')
      throw new Error(`TensorFlow.js computes in FLOAT32, not in ${options.precision}`);
    this.specs = specsByName(graph);
    checkTensors(this.specs, initial);
    this.drops = { seed: options.seed, step: 0 };
    this.network = buildModel(graph, this.drops);
    const trained = [...this.network.variables].filter(([name]) => isTrained(this.spec(name)));
    this.optimizer = new Optimizer(options.optimizer, new Map(trained), (name) => this.spec(name).role === 'weight');
    this.assign(this.network.variables, initial);
  }

  step({ images, labels, size }: Batch, learningRate: number): StepResult {
    this.checkBatch(images, size);
    this.checkLabels(labels, size);
    const { value, grads, correct } = this.differentiate(images, labels, size);
    this.optimizer.update(grads, learningRate, ++this.drops.step);
    tf.dispose(this.lastGradients);
    this.lastGradients = grads;
    const loss = value.dataSync()[0]!;
    value.dispose();
    return { loss, correct };
  }

  evaluate(images: Float32Array, size: number): Float32Array {
    this.checkBatch(images, size);
    return tf.tidy(() => Float32Array.from(this.forward(images, size, false).dataSync()));
  }

  tensors(): TensorMap {
    return this.read(this.network.variables);
  }

  optimizerState(): TensorMap {
    return this.read(this.optimizer.moments).set('step', Float32Array.of(this.drops.step));
  }

  restore(tensors: TensorMap, optimizerState: TensorMap): void {
    const step = optimizerState.get('step')?.[0];
    if (step === undefined) throw new Error('the optimizer state has no step');
    checkTensors(this.specs, tensors);
    checkTensors(new Map([...this.optimizer.moments.keys()].map((name) => [name, this.spec(name)])), optimizerState);
    this.assign(this.network.variables, tensors);
    this.assign(this.optimizer.moments, optimizerState);
    this.drops.step = step;
  }

  gradients(): TensorMap {
    const found = [...this.network.variables].flatMap(([name, variable]) => {
      const gradient = this.lastGradients[variable.name];
      return gradient ? [[name, gradient] as const] : [];
    });
    return this.read(new Map(found));
  }

  close(): void {
    tf.dispose(this.lastGradients);
    this.lastGradients = {};
    this.optimizer.dispose();
    this.network.model.dispose();
  }

  private differentiate(images: Float32Array, labels: Int32Array, size: number) {
    let correct = 0;
    const { value, grads } = tf.variableGrads(
      () => {
        const logits = this.forward(images, size, true);
        const targets = tf.tensor1d(labels, 'int32');
        correct = tf.sum(tf.cast(tf.equal(tf.argMax(logits, 1), targets), 'int32')).dataSync()[0]!;
        return this.loss(logits, targets);
      },
      [...this.network.variables].filter(([name]) => isTrained(this.spec(name))).map(([, variable]) => variable),
    );
    return { value, grads, correct };
  }

  private forward(images: Float32Array, size: number, training: boolean): tf.Tensor2D {
    const [channels, height, width] = this.graph.inputShape;
    const x = tf.tensor4d(images, [size, height, width, channels]);
    return this.network.model.apply(x, { training }) as tf.Tensor2D;
  }

  /** target = (1 - s) * onehot + s / K */
  private loss(logits: tf.Tensor2D, labels: tf.Tensor1D): tf.Scalar {
    const { labelSmoothing: smoothing } = this.options;
    const classes = this.graph.numClasses;
    const hit = 1 - smoothing + smoothing / classes;
    const targets = tf.oneHot(labels, classes, hit, smoothing / classes);
    return tf.neg(tf.mean(tf.sum(tf.mul(targets, tf.logSoftmax(logits)), 1)));
  }

  private checkBatch(images: Float32Array, size: number): void {
    const pixels = this.graph.inputShape.reduce((product, side) => product * side, 1);
    const { batchSize } = this.options;
    if (!(Number.isInteger(size) && size >= 1 && size <= batchSize))
      throw new Error(`a batch of ${size}; this session takes 1 to ${batchSize} images`);
    if (images.length !== size * pixels) throw new Error(`${images.length} values are not ${size} images of ${pixels}`);
  }

  private checkLabels(labels: Int32Array, size: number): void {
    if (labels.length !== size) throw new Error(`${labels.length} labels for ${size} images`);
    const wrong = labels.find((label) => label < 0 || label >= this.graph.numClasses);
    if (wrong !== undefined) throw new Error(`the label ${wrong} is none of ${this.graph.numClasses} classes`);
  }

  /** A moment (`momentum.conv1.weight`) has the layout of its tensor. */
  private spec(name: string): TensorSpec {
    return this.specs.get(name) ?? this.specs.get(name.slice(name.indexOf('.') + 1))!;
  }

  private read(tensors: ReadonlyMap<string, tf.Tensor>): TensorMap {
    return new Map([...tensors].map(([name, tensor]) => [name, fromTensorFlow(this.spec(name), tensor)]));
  }

  private assign(variables: ReadonlyMap<string, tf.Variable>, values: TensorMap): void {
    for (const [name, variable] of variables) {
      const tensor = toTensorFlow(this.spec(name), values.get(name)!);
      variable.assign(tensor);
      tensor.dispose();
    }
  }
}

/** Before anything is changed. */
function checkTensors(specs: ReadonlyMap<string, TensorSpec>, values: TensorMap): void {
  for (const [name, { shape }] of specs) {
    const length = shape.reduce((product, size) => product * size, 1);
    const given = values.get(name)?.length;
    if (given === undefined) throw new Error(`${name}: missing`);
    if (given !== length) throw new Error(`${name}: ${given} values do not make ${JSON.stringify(shape)}`);
  }
}
