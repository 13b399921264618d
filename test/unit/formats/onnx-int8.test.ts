import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Range } from '../../../src/domain/int8.js';
import { foldBatchNorms } from '../../../src/domain/network/fold.js';
import type { Graph, TensorMap } from '../../../src/domain/network/graph.js';
import { encodeCalibrationOnnx } from '../../../src/formats/onnx-calibration.js';
import { quantizeOnnx } from '../../../src/formats/onnx-int8.js';
import { decodeModel, type TensorProto } from '../../../src/formats/onnx-schema.js';
import { encodeOnnx } from '../../../src/formats/onnx.js';
import { needsExactKernels } from '../../../src/serving/integer-kernels.js';
import { largestDifference, readVariant, readVariants, VARIANT_IMAGES } from '../../golden/variants/variants.js';

const metadata = { classNames: ['a', 'b', 'c', 'd', 'e'], mean: [0.1, 0.2, 0.3], std: [0.4, 0.5, 0.6] };

/** As the API asks for them: where the fast kernels would overflow, the others. */
const EXACT = { session: { x64quantprecision: needsExactKernels() ? '1' : '0' } };

let folder: string;
beforeAll(async () => void (folder = await mkdtemp(path.join(tmpdir(), 'residual-int8-'))));
afterAll(() => rm(folder, { recursive: true, force: true }));

function foldedOnnx({ graph, tensors }: { graph: Graph; tensors: TensorMap }): Uint8Array {
  const folded = foldBatchNorms(graph, tensors);
  return encodeOnnx(folded.graph, folded.tensors, metadata);
}

async function run(onnx: Uint8Array, graph: Graph, images: Float32Array, output: string, options: InferenceSession.SessionOptions = {}) {
  const session = await InferenceSession.create(onnx, options);
  const { [output]: answer } = await session.run({ input: new Tensor('float32', images, [VARIANT_IMAGES, ...graph.inputShape]) });
  await session.release();
  return answer!.data as Float32Array;
}

const endsOf = (values: ArrayLike<number>): Range => ({ min: Math.min(...Array.from(values)), max: Math.max(...Array.from(values)) });

async function rangesOver(onnx: Uint8Array, graph: Graph, images: Float32Array): Promise<Map<string, Range>> {
  const { onnx: calibration, values } = encodeCalibrationOnnx(onnx);
  const extremes = await run(calibration, graph, images, 'extremes');
  expect(extremes).toHaveLength(VARIANT_IMAGES * 2 * values.length);
  const rows = Array.from({ length: VARIANT_IMAGES }, (_, image) => extremes.subarray(2 * image * values.length));
  const ranges = values.map((value, index): [string, Range] => [
    value,
    { min: Math.min(...rows.map((row) => row[index]!)), max: Math.max(...rows.map((row) => row[values.length + index]!)) },
  ]);
  return new Map(ranges).set('input', endsOf(images));
}

describe.each(readVariants())('$name', ({ name, graph, tensors, input, logits: expected }) => {
  it("comes close to PyTorch's logits, in integers as in the float32 that they stand for", async () => {
    const onnx = foldedOnnx({ graph, tensors });
    const int8 = quantizeOnnx(onnx, await rangesOver(onnx, graph, input));
    const file = path.join(folder, `${name}.onnx`);
    // It warns that the optimised file is for this machine alone.
    const options = { optimizedModelFilePath: file, logSeverityLevel: 3, extra: EXACT } as const;
    const fused = await run(int8, graph, input, 'logits', options);
    const { min, max } = endsOf(expected);
    expect(largestDifference(fused, expected)).toBeLessThan(0.06 * (max - min));
    const asItStands = await run(int8, graph, input, 'logits', { graphOptimizationLevel: 'disabled' });
    expect(largestDifference(fused, asItStands)).toBeLessThan(0.02 * (max - min));

    // Every convolution, sum and linear layer has become one of integers.
    const operators = decodeModel(await readFile(file)).graph.node.map(({ opType }) => opType);
    const count = (opType: string) => operators.filter((found) => found === opType).length;
    const kinds = (kind: string) => graph.nodes.filter((node) => node.kind === kind).length;
    expect([count('QLinearConv'), count('QLinearAdd'), count('QGemm')]).toEqual([kinds('conv'), kinds('add'), 1]);
    expect(operators.filter((opType) => ['Conv', 'FusedConv', 'Gemm', 'Add', 'Relu'].includes(opType))).toEqual([]);
  });
});

it('measures what the float network computes: the extremes of each activation, image by image', async () => {
  const { graph, tensors, input } = readVariant('bottleneck');
  const onnx = foldedOnnx({ graph, tensors });
  const ranges = await rangesOver(onnx, graph, input);
  expect([...ranges.keys()]).toEqual(expect.arrayContaining(['relu', 'layer1.0.relu', 'avgpool', 'input']));
  // What a max-pool puts out has the scale of what goes in, and a ReLU stands for the convolution before it.
  for (const absent of ['maxpool', 'conv1', 'fc.flat', 'logits']) expect(ranges.has(absent)).toBe(false);
  expect(ranges.get('relu')!.min).toBe(0);
  const { min, max } = ranges.get('avgpool')!;
  expect(min).toBeGreaterThanOrEqual(0);
  expect(max).toBeLessThanOrEqual(ranges.get([...ranges.keys()].filter((value) => /^layer.*relu$/.test(value)).at(-1)!)!.max);
});

it('holds per-channel int8 weights, int32 biases and uint8 activations, and no float weights any more', async () => {
  const { graph, tensors, input } = readVariant('bottleneck');
  const onnx = foldedOnnx({ graph, tensors });
  const model = decodeModel(quantizeOnnx(onnx, await rangesOver(onnx, graph, input)));
  const initializers = new Map(model.graph.initializer.map((tensor) => [tensor.name, tensor]));
  const [UINT8, INT8, INT32, FLOAT] = [2, 3, 6, 1];
  const [channels] = decodeModel(onnx).graph.initializer.find(({ name }) => name === 'conv1.weight')!.dims as [number];
  const shapeOf = (name: string) => [initializers.get(name)?.dataType, initializers.get(name)?.dims];
  expect(shapeOf('conv1.weight/quantized')).toEqual([INT8, expect.objectContaining({ 0: channels, length: 4 })]);
  expect(shapeOf('conv1.weight/scale')).toEqual([FLOAT, [channels]]);
  expect(shapeOf('conv1.bias/quantized')).toEqual([INT32, [channels]]);
  expect(shapeOf('relu/zero_point')).toEqual([UINT8, []]);
  expect([...initializers.values()].filter(({ dataType, dims }: TensorProto) => dataType === FLOAT && dims.length > 1)).toEqual([]);
  const floats = (name: string) => new Float32Array(Uint8Array.from(initializers.get(name)!.rawData).buffer);
  const products = floats('conv1.weight/scale').map((scale) => scale * floats('input/scale')[0]!);
  expect(floats('conv1.bias/scale')).toEqual(products);
  expect(model.metadataProps).toEqual(decodeModel(onnx).metadataProps);
  // No class activation map, which would read the classifier's weights in float32.
  expect(model.graph.output).toEqual(decodeModel(onnx).graph.output.slice(0, 2));
  expect(model.graph.output.map(({ name }) => name)).toEqual(['logits', 'probabilities']);
});

it('says which range it lacks', () => {
  const onnx = foldedOnnx(readVariant('bottleneck'));
  expect(() => quantizeOnnx(onnx, new Map([['input', { min: -1, max: 1 }]]))).toThrow('relu: no range to quantise it by');
});
