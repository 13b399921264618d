import * as tf from '@tensorflow/tfjs';
import { isTrained, type Graph, type TensorMap, type TensorSpec } from '../../../domain/network/graph.js';
import type { Batch, Mix, SessionOptions, StepResult } from '../../engine.js';
import { Averages } from './averages.js';
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
  private readonly averaged: Averages | undefined;
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
    const { emaDecay } = options;
    this.averaged = emaDecay === undefined ? undefined : new Averages(emaDecay, this.network.variables);
  }

  step({ images, labels, size, mix }: Batch, learningRate: number): StepResult {
    this.checkBatch(images, size);
    this.checkLabels(labels, size);
    if (mix) this.checkMix(mix, size);
    const { value, grads, correct } = this.differentiate(images, labels, mix, size);
    const gradients = this.optimizer.clip(grads);
    this.optimizer.update(gradients, learningRate, ++this.drops.step);
    this.averaged?.follow(this.drops.step);
    tf.dispose(this.lastGradients);
    this.lastGradients = gradients;
    const loss = value.dataSync()[0]!;
    value.dispose();
    return { loss, correct };
  }

  evaluate(images: Float32Array, size: number): Float32Array {
    this.checkBatch(images, size);
    const compute = () => tf.tidy(() => Float32Array.from(this.forward(images, size, false).dataSync()));
    return this.averaged ? this.averaged.within(compute) : compute();
  }

  tensors(): TensorMap {
    return this.read(this.network.variables);
  }

  optimizerState(): TensorMap {
    return this.read(this.optimizer.moments).set('step', packStep(this.drops.step));
  }

  averages(): TensorMap | undefined {
    return this.averaged && this.read(this.averaged.values);
  }

  restore(tensors: TensorMap, optimizerState: TensorMap, averages: TensorMap = new Map()): void {
    const step = unpackStep(optimizerState.get('step'));
    checkTensors(this.specs, tensors);
    if (this.averaged) checkTensors(this.specs, averages);
    checkTensors(new Map([...this.optimizer.moments.keys()].map((name) => [name, this.spec(name)])), optimizerState);
    this.assign(this.network.variables, tensors);
    this.assign(this.optimizer.moments, optimizerState);
    if (this.averaged) this.assign(this.averaged.values, averages);
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
    this.averaged?.dispose();
    this.network.model.dispose();
  }

  private differentiate(images: Float32Array, labels: Int32Array, mix: Mix | undefined, size: number) {
    let correct = 0;
    const { value, grads } = tf.variableGrads(
      () => {
        const logits = this.forward(images, size, true);
        const hits = tf.equal(tf.argMax(logits, 1), tf.tensor1d(mix ? larger(labels, mix) : labels, 'int32'));
        correct = tf.sum(tf.cast(hits, 'int32')).dataSync()[0]!;
        return this.loss(logits, this.targets(labels, mix));
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

  /** (1 - s) * onehot + s / K; of mixed images, share * that of the first label + (1 - share) * that of the other. */
  private targets(labels: Int32Array, mix: Mix | undefined): tf.Tensor {
    const { labelSmoothing: smoothing } = this.options;
    const classes = this.graph.numClasses;
    const hit = 1 - smoothing + smoothing / classes;
    const one = (of: Int32Array) => tf.oneHot(tf.tensor1d(of, 'int32'), classes, hit, smoothing / classes);
    if (!mix) return one(labels);
    const shares = tf.tensor2d(mix.shares, [labels.length, 1]);
    return tf.add(tf.mul(one(labels), shares), tf.mul(one(mix.labels), tf.sub(1, shares)));
  }

  private loss(logits: tf.Tensor2D, targets: tf.Tensor): tf.Scalar {
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

  private checkMix({ labels, shares }: Mix, size: number): void {
    this.checkLabels(labels, size);
    if (shares.length !== size) throw new Error(`${shares.length} shares for ${size} images`);
    const wrong = shares.find((share) => !(share >= 0 && share <= 1));
    if (wrong !== undefined) throw new Error(`the share ${wrong} is not in [0, 1]`);
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

const larger = (labels: Int32Array, { labels: others, shares }: Mix) =>
  labels.map((label, image) => (shares[image]! >= 0.5 ? label : others[image]!));

/** What a float32 counts exactly. */
const STEP_PART = 2 ** 24;

const packStep = (step: number) => Float32Array.of(step % STEP_PART, Math.floor(step / STEP_PART));

/** One element is what there once was. */
function unpackStep(packed: Float32Array | undefined): number {
  if (packed?.length !== 1 && packed?.length !== 2) throw new Error('the optimizer state has no step');
  return packed[0]! + (packed[1] ?? 0) * STEP_PART;
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
