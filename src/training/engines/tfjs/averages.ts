import * as tf from '@tensorflow/tfjs';

/** The averages that `SessionOptions.emaDecay` asks for. */
export class Averages {
  private readonly averages: ReadonlyMap<string, tf.Variable>;

  /** They begin as the variables are. */
  constructor(
    private readonly decay: number,
    private readonly variables: ReadonlyMap<string, tf.Variable>,
  ) {
    this.averages = new Map(
      [...variables].map(([name, variable]) => [name, tf.tidy(() => tf.variable(tf.clone(variable), false))]),
    );
  }

  get values(): ReadonlyMap<string, tf.Variable> {
    return this.averages;
  }

  /** @param updates so far, the one just made included */
  follow(updates: number): void {
    const part = 1 - Math.min(this.decay, (1 + updates) / (10 + updates));
    for (const [name, average] of this.averages)
      tf.tidy(() => average.assign(tf.add(average, tf.mul(tf.sub(this.variables.get(name)!, average), part))));
  }

  /** Computes with the averages in the network's variables, which afterwards are as they were. */
  within<T>(compute: () => T): T {
    const kept = new Map([...this.variables].map(([name, variable]) => [name, tf.clone(variable)]));
    for (const [name, average] of this.averages) this.variables.get(name)!.assign(average);
    try {
      return compute();
    } finally {
      for (const [name, tensor] of kept) {
        this.variables.get(name)!.assign(tensor);
        tensor.dispose();
      }
    }
  }

  dispose(): void {
    for (const average of this.averages.values()) average.dispose();
  }
}
