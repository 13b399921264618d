import { quantizeWeights, scaleOfRange, type ActivationScale, type Range } from '../domain/int8.js';
import { decodeForInt8, isWeighted, layOutInt8, type Int8Layout } from './onnx-int8-layout.js';
import { ATTRIBUTE, DATA_TYPE, encodeModel, type NodeProto, type TensorProto } from './onnx-schema.js';

/**
 * The network in eight bits, with the same input, logits, probabilities and metadata, in the "QDQ" form of
 * onnxruntime's static quantisation: each quantised value goes through QuantizeLinear and DequantizeLinear, weights and
 * biases come out of DequantizeLinear. A runtime with integer kernels fuses them (onnxruntime: QLinearConv, QLinearAdd,
 * QGemm …), any other computes the same as it stands.
 * @param onnx of `encodeOnnx`, its batch norms folded
 * @param ranges of the input and of each of `encodeCalibrationOnnx`'s values
 */
export function quantizeOnnx(onnx: Uint8Array, ranges: ReadonlyMap<string, Range>): Uint8Array {
  const model = decodeForInt8(onnx);
  const layout = layOutInt8(model);
  const draft = new Draft(layout, chooseScales(layout, ranges));
  for (const node of layout.nodes) draft.write(node);
  const graph = { ...model.graph, node: draft.nodes, initializer: draft.usedInitializers() };
  return encodeModel({ ...model, graph });
}

function chooseScales(
  { values, scaleFrom }: Int8Layout,
  ranges: ReadonlyMap<string, Range>,
): Map<string, ActivationScale> {
  const scales = new Map<string, ActivationScale>();
  for (const value of values) {
    const range = ranges.get(value);
    const scale = scales.get(scaleFrom.get(value) ?? '') ?? (range && scaleOfRange(range));
    if (!scale) throw new Error(`${value}: no range to quantise it by`);
    scales.set(value, scale);
  }
  return scales;
}

/** The quantised graph under construction. */
class Draft {
  readonly nodes: NodeProto[] = [];
  private readonly initializers: TensorProto[] = [];

  constructor(
    private readonly layout: Int8Layout,
    private readonly scales: ReadonlyMap<string, ActivationScale>,
  ) {
    this.initializers.push(...layout.initializers.values());
    if (scales.has(layout.image)) this.roundTrip(layout.image, layout.image, dequantized(layout.image));
  }

  /** A value that is quantised keeps its name for what comes out of DequantizeLinear: its readers need not change. */
  write(node: NodeProto): void {
    const output = node.output[0]!;
    const input = this.operands(node);
    if (!this.scales.has(output)) return void this.nodes.push({ ...node, input });
    this.nodes.push({ ...node, input, output: [`${output}/float`] });
    this.roundTrip(output, `${output}/float`, output);
  }

  /** Float tensors that nobody reads any more are left out. */
  usedInitializers(): TensorProto[] {
    const used = new Set(this.nodes.flatMap(({ input }) => input));
    return this.initializers.filter(({ name }) => used.has(name));
  }

  private operands(node: NodeProto): readonly string[] {
    const { image, quantized } = this.layout;
    const [activation, weight, bias] = node.input;
    const scale = this.scales.get(activation!);
    const input =
      scale && isWeighted(node) && quantized.has(node)
        ? [activation!, ...this.weights(scale.scale, weight!, bias)]
        : node.input;
    // The network's input alone cannot give its name away.
    return input.map((name) => (name === image && this.scales.has(name) ? dequantized(name) : name));
  }

  private weights(inputScale: number, weight: string, bias: string | undefined): string[] {
    const { dims } = this.layout.initializers.get(weight)!;
    const channels = dims[0]!;
    const floats = [weight, bias].map((name) => (name === undefined ? undefined : this.floats(name)));
    const quantized = quantizeWeights(floats[0]!, channels, inputScale, floats[1]);
    const names = [this.dequantize(weight, DATA_TYPE.int8, dims, quantized.weights, quantized.scales)];
    if (quantized.bias)
      names.push(this.dequantize(bias!, DATA_TYPE.int32, [channels], quantized.bias, quantized.biasScales));
    return names;
  }

  private floats(name: string): Float32Array {
    // A copy: the view may lie at an offset that a Float32Array cannot start at.
    return new Float32Array(Uint8Array.from(this.layout.initializers.get(name)!.rawData).buffer);
  }

  /** A scale for each place of the first axis; the zero points are zeros. */
  private dequantize(
    name: string,
    dataType: number,
    dims: readonly number[],
    values: Int8Array | Int32Array,
    scales: Float32Array,
  ): string {
    const zeros = values.slice(0, scales.length).fill(0);
    const input = [
      this.tensor(`${name}/quantized`, dataType, dims, values),
      this.tensor(`${name}/scale`, DATA_TYPE.float, [scales.length], scales),
      this.tensor(`${name}/zero_point`, dataType, [scales.length], zeros),
    ];
    this.push('DequantizeLinear', input, dequantized(name), [{ name: 'axis', type: ATTRIBUTE.int, i: 0 }]);
    return dequantized(name);
  }

  private roundTrip(value: string, from: string, to: string): void {
    const { scale, zeroPoint } = this.scales.get(value)!;
    const parameters = [
      this.tensor(`${value}/scale`, DATA_TYPE.float, [], Float32Array.of(scale)),
      this.tensor(`${value}/zero_point`, DATA_TYPE.uint8, [], Uint8Array.of(zeroPoint)),
    ];
    this.push('QuantizeLinear', [from, ...parameters], `${value}/quantized`);
    this.push('DequantizeLinear', [`${value}/quantized`, ...parameters], to);
  }

  private push(opType: string, input: readonly string[], output: string, attribute: NodeProto['attribute'] = []): void {
    this.nodes.push({ name: `${output}/${opType}`, opType, input, output: [output], attribute });
  }

  private tensor(name: string, dataType: number, dims: readonly number[], values: ArrayBufferView): string {
    const rawData = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    this.initializers.push({ name, dataType, dims, rawData });
    return name;
  }
}

const dequantized = (name: string) => `${name}/dequantized`;
