/**
 * The arithmetic of eight-bit networks (Jacob et al. 2018, "Quantization and training of neural networks for efficient
 * integer-arithmetic-only inference"), in the form that onnxruntime's kernels take fastest on x86: activations are
 * uint8, asymmetric, with one scale each; weights int8, symmetric, with a scale for each output channel; biases int32
 * in the scale of the products.
 */

/** Of an activation's values, over the images that it was calibrated by. */
export interface Range {
  readonly min: number;
  readonly max: number;
}

/** real = scale * (quantised - zeroPoint), quantised in [0, 255] */
export interface ActivationScale {
  readonly scale: number;
  readonly zeroPoint: number;
}

/** Zero is represented exactly: padding and what ReLU cuts off are zeros. */
export function scaleOfRange({ min, max }: Range): ActivationScale {
  const [low, high] = [Math.min(min, 0), Math.max(max, 0)];
  const scale = Math.fround((high - low) / 255) || 1;
  return { scale, zeroPoint: Math.min(255, Math.round((0 - low) / scale)) };
}

export interface QuantizedWeights {
  /** Each real weight divided by its channel's scale, rounded; in [-127, 127]. */
  readonly weights: Int8Array;
  /** (O) */
  readonly scales: Float32Array;
  /** (O) int32, each in units of the channel's scale times the input's. */
  readonly bias: Int32Array | undefined;
  /** (O): those units. */
  readonly biasScales: Float32Array;
}

/** So far inside an int32 that the sum of the products fits beside it. */
const MAX_BIAS = 2 ** 30;

/**
 * @param weights (O, …)
 * @param inputScale of the activation that they are multiplied with
 * @param bias (O)
 */
export function quantizeWeights(
  weights: Float32Array,
  channels: number,
  inputScale: number,
  bias?: Float32Array,
): QuantizedWeights {
  const perChannel = weights.length / channels;
  const quantized = new Int8Array(weights.length);
  const scales = new Float32Array(channels);
  for (let channel = 0; channel < channels; channel++) {
    const [start, end] = [channel * perChannel, (channel + 1) * perChannel];
    let largest = 0;
    for (let at = start; at < end; at++) largest = Math.max(largest, Math.abs(weights[at]!));
    // Next to tiny weights a bias may be so large that it needs a coarser scale to fit.
    const least = Math.abs(bias?.[channel] ?? 0) / (MAX_BIAS * inputScale);
    scales[channel] = Math.max(largest / 127, least) || 1;
    for (let at = start; at < end; at++) quantized[at] = Math.round(weights[at]! / scales[channel]!);
  }
  const biasScales = scales.map((scale) => scale * inputScale);
  const integers = bias && Int32Array.from(bias, (value, channel) => Math.round(value / biasScales[channel]!));
  return { weights: quantized, scales, bias: integers, biasScales };
}
