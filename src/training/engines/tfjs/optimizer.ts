import * as tf from '@tensorflow/tfjs';
import type { OptimizerPlan } from '../../../domain/plan.js';

/**
 * SGD, Adam and AdamW with PyTorch's update rules (torch.optim; TensorFlow.js's own Adam puts epsilon elsewhere and its
 * momentum has no weight decay). All moments start at zero, which for SGD equals PyTorch's first buffer: the gradient.
 */
export class Optimizer {
  private readonly slots = new Map<string, tf.Variable>();

  /** `decays`: whether weight decay acts on the variable of this name. */
  constructor(
    private readonly plan: OptimizerPlan,
    private readonly variables: ReadonlyMap<string, tf.Variable>,
    private readonly decays: (name: string) => boolean,
  ) {
    for (const [name, variable] of variables)
      for (const kind of slotKinds(plan))
        this.slots.set(`${kind}.${name}`, tf.tidy(() => tf.variable(tf.zerosLike(variable), false)));
  }

  /** Under the native engine's names: `momentum.<tensor>`, or `first.<tensor>` and `second.<tensor>`. */
  get moments(): ReadonlyMap<string, tf.Variable> {
    return this.slots;
  }

  /**
   * The gradients that `update` takes: scaled down together where their L2 norm exceeds `clipNorm`, as
   * torch.nn.utils.clip_grad_norm_ does it. Those given are disposed of where they are not among them.
   */
  clip(gradients: tf.NamedTensorMap): tf.NamedTensorMap {
    const { clipNorm } = this.plan;
    if (clipNorm === undefined) return gradients;
    const square = (gradient: tf.Tensor) => tf.tidy(() => tf.sum(tf.square(gradient)).dataSync()[0]!);
    const norm = Math.sqrt(Object.values(gradients).reduce((sum, gradient) => sum + square(gradient), 0));
    const scale = clipNorm / (norm + 1e-6);
    if (scale >= 1) return gradients;
    const clipped = Object.entries(gradients).map(([name, gradient]) => [name, tf.mul(gradient, scale)] as const);
    tf.dispose(gradients);
    return Object.fromEntries(clipped);
  }

  /** @param step 1 for the first. */
  update(gradients: tf.NamedTensorMap, learningRate: number, step: number): void {
    for (const [name, variable] of this.variables)
      tf.tidy(() => {
        const gradient = gradients[variable.name];
        if (gradient) this.updateOne(name, variable, gradient, learningRate, step);
      });
  }

  dispose(): void {
    for (const slot of this.slots.values()) slot.dispose();
  }

  private updateOne(name: string, weight: tf.Variable, gradient: tf.Tensor, learningRate: number, step: number): void {
    const { kind, weightDecay } = this.plan;
    const decay = this.decays(name) ? weightDecay : 0;
    const coupled = decay === 0 || kind === 'ADAMW' ? gradient : tf.add(gradient, tf.mul(weight, decay));
    const kept = kind === 'ADAMW' && decay !== 0 ? tf.mul(weight, 1 - learningRate * decay) : weight;
    const change = kind === 'SGD' ? this.momentumStep(name, coupled) : this.adamStep(name, coupled, step);
    weight.assign(tf.sub(kept, tf.mul(change, learningRate)));
  }

  private momentumStep(name: string, gradient: tf.Tensor): tf.Tensor {
    const { momentum, nesterov } = this.plan;
    if (momentum === 0) return gradient;
    const buffer = this.slots.get(`momentum.${name}`)!;
    buffer.assign(tf.add(tf.mul(buffer, momentum), gradient));
    return nesterov ? tf.add(gradient, tf.mul(buffer, momentum)) : buffer;
  }

  private adamStep(name: string, gradient: tf.Tensor, step: number): tf.Tensor {
    const { beta1, beta2, epsilon } = this.plan;
    const first = this.slots.get(`first.${name}`)!;
    const second = this.slots.get(`second.${name}`)!;
    first.assign(tf.add(tf.mul(first, beta1), tf.mul(gradient, 1 - beta1)));
    second.assign(tf.add(tf.mul(second, beta2), tf.mul(tf.square(gradient), 1 - beta2)));
    const deviation = tf.div(tf.sqrt(second), Math.sqrt(1 - beta2 ** step));
    return tf.div(tf.div(first, 1 - beta1 ** step), tf.add(deviation, epsilon));
  }
}

function slotKinds({ kind, momentum }: OptimizerPlan): string[] {
  if (kind === 'SGD') return momentum === 0 ? [] : ['momentum'];
  return ['first', 'second'];
}
