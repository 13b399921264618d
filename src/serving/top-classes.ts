export interface ClassScore {
  /** Of the class, in the order of the model's class names. */
  readonly index: number;
  readonly className: string;
  readonly probability: number;
}

/** The `k` most probable classes, the most probable first; of equal ones the lower index. `probabilities`: (K). */
export function topClasses(probabilities: Float32Array, classNames: readonly string[], k: number): ClassScore[] {
  const order = Array.from(probabilities.keys());
  order.sort((a, b) => probabilities[b]! - probabilities[a]! || a - b);
  return order
    .slice(0, k)
    .map((index) => ({ index, className: classNames[index]!, probability: probabilities[index]! }));
}
