import { decodeForInt8, layOutInt8 } from './onnx-int8-layout.js';
import { ATTRIBUTE, encodeModel, type NodeProto } from './onnx-schema.js';

export interface CalibrationOnnx {
  /**
   * The network with one output, `extremes`: float32 (batch, 2 T), for each of the T values the least that an image
   * makes of it, and behind them for each the greatest.
   */
  readonly onnx: Uint8Array;
  /** Those whose range `quantizeOnnx` has to know, besides the input's. */
  readonly values: readonly string[];
}

/** @param onnx of `encodeOnnx`, its batch norms folded */
export function encodeCalibrationOnnx(onnx: Uint8Array): CalibrationOnnx {
  const model = decodeForInt8(onnx);
  const { values, image, scaleFrom } = layOutInt8(model);
  const measured = values.filter((value) => value !== image && !scaleFrom.has(value));
  const flat = measured.map((value) => node('Flatten', [value], `${value}/flat`, { axis: 1 }));
  const ends = (['ReduceMin', 'ReduceMax'] as const).flatMap((reduce) =>
    measured.map((value) => node(reduce, [`${value}/flat`], `${value}/${reduce}`, { axes: [1], keepdims: 1 })),
  );
  const concat = node('Concat', ends.flatMap(({ output }) => output), 'extremes', { axis: 1 });
  const [{ type: image32 }] = model.graph.input as [(typeof model.graph.input)[number]];
  const dim = [image32.tensorType.shape.dim[0]!, { dimValue: ends.length }];
  const type = { tensorType: { elemType: image32.tensorType.elemType, shape: { dim } } };
  const graph = {
    ...model.graph,
    node: [...model.graph.node, ...flat, ...ends, concat],
    output: [{ name: 'extremes', type }],
  };
  return { onnx: encodeModel({ ...model, graph }), values: measured };
}

function node(
  opType: string,
  input: readonly string[],
  output: string,
  attributes: Readonly<Record<string, number | readonly number[]>>,
): NodeProto {
  const attribute = Object.entries(attributes).map(([name, value]) =>
    typeof value === 'number'
      ? { name, type: ATTRIBUTE.int, i: value }
      : { name, type: ATTRIBUTE.ints, ints: value },
  );
  return { name: `${output}/${opType}`, opType, input, output: [output], attribute };
}
